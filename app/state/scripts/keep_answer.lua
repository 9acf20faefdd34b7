-- Keep an answer, and give the lead back.
-- KEYS: the answer, its lead; where the store is in a process also the index of all answers, and their sizes.
-- ARGV: who had the lead; milliseconds that the answer is kept; the answer; most answers, and bytes of them, in a process.

local key, answer = KEYS[1], ARGV[3]
redis.call('HSET', key, 'at', string.format('%.0f', now), 'answer', answer)
redis.call('PEXPIRE', key, ARGV[2])
local leader = redis.call('HGET', KEYS[2], 'by')
if leader == ARGV[1] or leader == 'alone' then
  redis.call('DEL', KEYS[2])
end

local index, sizes = KEYS[3], KEYS[4]
if not index then
  return 1
end
local before = tonumber(redis.call('HGET', sizes, key) or '0')
redis.call('ZADD', index, string.format('%.0f', now), key)
redis.call('HSET', sizes, key, #answer)
local total = redis.call('HINCRBY', sizes, '', #answer - before)
while total > tonumber(ARGV[5]) or redis.call('ZCARD', index) > tonumber(ARGV[4]) do
  local oldest = redis.call('ZRANGE', index, 0, 0)[1]
  redis.call('ZREM', index, oldest)
  total = redis.call('HINCRBY', sizes, '', '-' .. redis.call('HGET', sizes, oldest))
  redis.call('HDEL', sizes, oldest)
  redis.call('DEL', oldest)
end
return 1
