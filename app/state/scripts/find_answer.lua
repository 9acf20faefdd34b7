-- Find an answer or, where there is none, take the lead: whoever has it makes the answer, the others wait for that.
-- KEYS: the answer, its lead. ARGV: who asks; milliseconds that the lead lasts; seconds that an answer is fresh.
-- Returns {'kept', its age (ms), answer}, {'lead'}, {'alone'} (the answer is none to wait for) or {'wait'}.

local age, answer = kept(KEYS[1])
if age and age < tonumber(ARGV[3]) * 1000 then
  return {'kept', string.format('%.0f', age), answer}
end
local leader = redis.call('GET', KEYS[2])
if leader == 'alone' then
  return {'alone'}
end
if not leader then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  return {'lead'}
end
return {leader == ARGV[1] and 'lead' or 'wait'}
