-- Hold on to the lead, or give it up. KEYS: the answer, its lead. ARGV: who has it; `renew`, `release` or `alone`; ms.
-- `renew`: returns how many others wait, of those that have looked within so long.
-- `alone`: for so long nobody waits for such an answer, because it is none that may be kept.
-- `release` is also for who waits, and leaves no mark of them.

local leads = redis.call('HGET', KEYS[2], 'by') == ARGV[1]
if ARGV[2] == 'release' then
  return redis.call('HDEL', KEYS[2], leads and 'by' or ARGV[1])
end
if not leads then
  return 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if ARGV[2] == 'alone' then
  return redis.call('HSET', KEYS[2], 'by', 'alone')
end
local waiting, marks = 0, redis.call('HGETALL', KEYS[2])
for at = 2, #marks, 2 do
  if marks[at - 1] ~= 'by' and now - tonumber(marks[at]) < tonumber(ARGV[3]) then
    waiting = waiting + 1
  end
end
return waiting
