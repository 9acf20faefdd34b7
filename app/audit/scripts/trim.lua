-- Trim the records before an id, and keep what continues the chains.
-- KEYS: the stream, the anchors, the mark of what is trimmed, the writers' ends, their heads.
-- ARGV: the first id that stays, the new mark, the seconds that the keys live without a head, the number of anchors;
-- then each writer and its anchor; then writers of which nothing is left.

redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[3])
local over = 5 + 2 * tonumber(ARGV[4])
for at = 5, over - 1, 2 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
end
for at = over, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('HDEL', KEYS[4], ARGV[at])
  redis.call('HDEL', KEYS[5], ARGV[at])
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
