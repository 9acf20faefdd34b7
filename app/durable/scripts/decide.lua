-- Decide on an approval. The last decision that its run waits for has the run be due.
-- KEYS: the approval. ARGV: approval, run, 'approved' or 'denied', who decides, why, and as whoever decides has seen them:
--   the binding, what is asked, the number of the run's steps.
-- Returns names and values: decided (ms), due ('1': the run goes on), priority; or over: the status that it has; or
--   changed: it is not what was seen; nothing if there is no such approval.

local id, run, key = ARGV[1], ARGV[2], KEYS[1]
local fields = redis.call('HMGET', key, 'run', 'status', 'expires', 'binding', 'asked', 'team')
local kept = redis.call('HMGET', run_key(run), 'status', 'steps', 'priority', 'waiting', 'waited')

if fields[1] ~= run or not kept[1] then
  return {}
end
if fields[2] ~= 'pending' then
  return { 'over', fields[2] }
end
if tonumber(fields[3]) <= now then
  return { 'over', 'expired' }
end
if fields[4] ~= ARGV[6] or fields[5] ~= ARGV[7] or kept[2] ~= ARGV[8] then
  return { 'changed', '1' }
end
settle_approval(id, fields[6], ARGV[3])
redis.call('HSET', key, 'decided', whole(now), 'by', ARGV[4], 'comment', ARGV[5])

local due = kept[1] == 'waiting' and not waits(run)
if due then
  go_on(run, kept[3], kept[4], kept[5])
end
return { 'decided', whole(now), 'due', due and '1' or '', 'priority', kept[3] }
