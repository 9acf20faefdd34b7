-- Ask a run to end.
-- KEYS: the record. ARGV: run, owner.
-- Returns names and values: status (before), idle ('1': no worker has it; whoever asked is to end it); nothing if the
--   owner has no such run.

local id, key = ARGV[1], KEYS[1]
local fields = redis.call('HMGET', key, 'owner', 'status', 'priority')
local status, lease = fields[2], lease_end(id)
if fields[1] ~= ARGV[2] then
  return {}
end
if OVER[status] then
  return { 'status', status, 'idle', '' }
end
redis.call('HSET', key, 'cancelling', '1')
if status == 'running' and lease and lease > now then
  tell(CANCELS, id)
  return { 'status', status, 'idle', '' }
end
if status ~= 'running' then
  look_at(id, fields[3], now)
end
return { 'status', status, 'idle', '1' }
