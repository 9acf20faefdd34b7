-- Hold on to the lead, or give it up. KEYS: the answer, its lead. ARGV: who has it; `renew`, `release` or `alone`; ms.
-- `alone`: for so long nobody waits for such an answer, because it is none that may be kept.
-- Returns 1, or 0 if it was another's.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'renew' then
  return redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
if ARGV[2] == 'alone' then
  redis.call('SET', KEYS[2], 'alone', 'PX', ARGV[3])
  return 1
end
return redis.call('DEL', KEYS[2])
