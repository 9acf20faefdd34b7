-- Find an answer or, where there is none, take the lead: whoever has it makes the answer, the others wait for that.
-- KEYS: the answer, its lead. ARGV: who asks; milliseconds that the lead lasts; seconds that an answer is fresh.
-- Returns {'kept', its age (ms), answer}, {'lead'}, {'alone'} (the answer is none to wait for) or {'wait'},
-- which leaves a mark: that somebody waits.

local age, answer = kept(KEYS[1])
if age and age < tonumber(ARGV[3]) * 1000 then
  return {'kept', string.format('%.0f', age), answer}
end
local leader = redis.call('HGET', KEYS[2], 'by')
if leader == 'alone' then
  return {'alone'}
end
if leader and leader ~= ARGV[1] then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
  return {'wait'}
end
if not leader then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[2], 'by', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return {'lead'}
