-- Let go of a run, which is due again after so many ms; if that is at once, before all that no worker had. One of which
-- nothing is written has not begun yet, and still waits for its first worker.
-- KEYS: the record. ARGV: run, claim, ms.
-- Returns 1; 2 if it is to be cancelled: whoever let go of it is to end it; 0 for a claim that does not hold any more.

local id, key = ARGV[1], KEYS[1]
local fields = redis.call('HMGET', key, 'claim', 'status', 'priority', 'cancelling', 'last_event', 'steps')
if fields[1] ~= ARGV[2] or fields[2] ~= 'running' then
  return 0
end
local due = fields[4] == '1' and now or now + ARGV[3]
redis.call('HSET', key, 'status', 'queued', 'due', whole(due))
if fields[5] == '0' and fields[6] == '0' then
  redis.call('HSET', key, 'started', '0')
else
  redis.call('HSET', key, 'since', whole(due))
end
if due > now then
  redis.call('ZREM', LEASES, id)
  look_at(id, fields[3], due)
else
  redis.call('ZADD', LEASES, whole(now), id)
end
return fields[4] == '1' and 2 or 1
