-- Take a run that is due and that no living worker has.
-- KEYS: the record. ARGV: run, '1' to take it only if an end is to be made of it, or ''.
-- Returns names and values: verdict ('cancelled', 'expired', 'unanswered' or 'crashed': whoever has taken it is to end it so; or ''),
--   record: [its names and values], steps: [JSON]; nothing if the run is not to be had.

local id, key = ARGV[1], KEYS[1]
local fields = redis.call('HMGET', key, 'status', 'due', 'line', 'priority', 'cancelling', 'crashes', 'started', 'since',
  'until')
local status, due, line, priority, cancelling = fields[1], tonumber(fields[2] or 0), fields[3], fields[4], fields[5] == '1'
local since, crashed, lease = tonumber(fields[8] or 0), status == 'running', lease_end(id)
local crashes = tonumber(fields[6] or 0) + (crashed and 1 or 0)

if not status or OVER[status] then
  redis.call('ZREM', DUE, id)
  redis.call('ZREM', DUE_LATER, id)
  redis.call('ZREM', LEASES, id)
  return {}
end
if crashed then
  if lease and lease > now then
    return {}
  end
elseif status == 'waiting' then
  if not cancelling and tonumber(fields[9]) >= now then
    return {}
  end
elseif not cancelling then
  if status ~= 'queued' or due > now then
    return {}
  end
  if line ~= '' and first_of(line) ~= id and now - since <= bounds.queue then
    look_at(id, priority, since + bounds.queue)
    return {}
  end
end

local waited = now - (crashed and (lease or now) or since)
local verdict = cancelling and 'cancelled' or status == 'waiting' and 'unanswered' or waited > bounds.queue and 'expired' or
  crashes >= bounds.crashes and 'crashed' or ''
if verdict == '' and ARGV[2] == '1' then
  return {}
end
redis.call('HINCRBY', key, 'claim', 1)
redis.call('HSET', key, 'status', 'running', 'crashes', whole(crashes))
if fields[7] == '0' and verdict == '' then
  redis.call('HSET', key, 'started', whole(now))
end
redis.call('ZADD', LEASES, whole(now + bounds.lease), id)
look_no_more(id, priority)
if line ~= '' and verdict == '' then
  redis.call('ZADD', line, '0', id)
end
return { 'verdict', verdict, 'record', redis.call('HGETALL', key), 'steps', redis.call('LRANGE', key .. ':steps', 0, -1) }
