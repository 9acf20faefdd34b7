-- Trim the records before an id, and keep what continues the chains.
-- KEYS: the stream, the anchors, the mark of what is trimmed, the writers' ends, their heads.
-- ARGV: the first id that stays, the new mark, the number of anchors; then each writer and its anchor; then writers of
-- which nothing is left.

redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
redis.call('SET', KEYS[3], ARGV[2])
local over = 4 + 2 * tonumber(ARGV[3])
for at = 4, over - 1, 2 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
end
for at = over, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('HDEL', KEYS[4], ARGV[at])
  redis.call('HDEL', KEYS[5], ARGV[at])
end
return 1
