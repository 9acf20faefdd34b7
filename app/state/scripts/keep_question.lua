-- Keep a question of a scope, the newest first. KEYS: its list; where the store is in a process also an index of all lists.
-- ARGV: the question, how many a list keeps, milliseconds it is kept; the most lists of the index.

local list, index = KEYS[1], KEYS[2]

redis.call('LREM', list, 0, ARGV[1])
redis.call('LPUSH', list, ARGV[1])
redis.call('LTRIM', list, 0, ARGV[2] - 1)
redis.call('PEXPIRE', list, ARGV[3])
if index then
  local clock = redis.call('TIME')
  redis.call('ZADD', index, string.format('%.0f', clock[1] * 1000000 + clock[2]), list)
  while redis.call('ZCARD', index) > tonumber(ARGV[4]) do
    redis.call('DEL', redis.call('ZPOPMIN', index)[1])
  end
end
return 1
