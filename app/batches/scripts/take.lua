-- Take batches whose next step is due: each acquisition has a fresh, larger number.
-- KEYS: due. ARGV: maximum of batches, lease in ms, what keys of batches begin with.
-- Returns the time in seconds, then for each batch its id and its fields.

local taken = { string.format('%.3f', now / 1000) }
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now), 'LIMIT', 0, ARGV[1])) do
  local key = ARGV[3] .. id
  local status = redis.call('HGET', key, 'status')
  if not status then
    redis.call('ZREM', KEYS[1], id)
  else
    if status == 'queued' then
      redis.call('HSET', key, 'status', 'running', 'started_at', string.format('%.3f', now / 1000))
    end
    redis.call('HINCRBY', key, 'claims', 1)
    redis.call('HINCRBY', key, 'tries', 1)
    redis.call('HSET', key, 'leased', 1)
    redis.call('ZADD', KEYS[1], whole(now + ARGV[2]), id)
    taken[#taken + 1] = { id, redis.call('HGETALL', key) }
  end
end
return taken
