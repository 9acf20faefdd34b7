-- Have a batch end: at once where nothing of it was begun, else by whoever takes its next step.
-- KEYS: batch, results, portions, due, inputs. ARGV: id, owner, seconds that it is kept, the problem of its inputs.
-- Returns its status before and after, or nil if the owner has no such batch.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then
  return nil
end
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' then
  local inputs = redis.call('HGET', KEYS[1], 'inputs')
  redis.call('HSET', KEYS[1], 'status', 'cancelled', 'rest_outcome', 'cancelled', 'rest_error', ARGV[4],
    'cancelled', inputs, 'ended_at', string.format('%.3f', now / 1000))
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  redis.call('EXPIRE', KEYS[5], ARGV[3])
  return { status, 'cancelled' }
end
if status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'cancelling')
  if not redis.call('HGET', KEYS[1], 'leased') then
    redis.call('ZADD', KEYS[4], whole(now), ARGV[1])
  end
  return { status, 'cancelling' }
end
return { status, status }
