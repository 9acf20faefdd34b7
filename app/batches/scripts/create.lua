-- Keep a batch whose inputs are in their list.
-- KEYS: batch, inputs, owner's batches, due. ARGV: id, what keys of batches begin with, maximum of batches an owner has,
--   seconds since the epoch when it starts (0: now), number of inputs; then its fields with their values.
-- Returns 'created'; 'full' if the owner has so many that are not over; 'lost' if the inputs are not all there.

local id, prefix, most, start = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local OVER = { ended = true, cancelled = true, expired = true }
if redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[5]) then
  return 'lost'
end
local kept = redis.call('ZRANGE', KEYS[3], 0, -1)
local count = #kept
for _, other in ipairs(kept) do
  local key = prefix .. other
  local status = redis.call('HGET', key, 'status')
  if not status or (count >= most and OVER[status]) then
    redis.call('DEL', key, key .. ':inputs', key .. ':results', key .. ':portions')
    redis.call('ZREM', KEYS[3], other)
    count = count - 1
  end
end
if count >= most then
  return 'full'
end
redis.call('HSET', KEYS[1], 'created_at', string.format('%.3f', now / 1000), unpack(ARGV, 6))
redis.call('PERSIST', KEYS[2])
redis.call('ZADD', KEYS[3], whole(now), id)
redis.call('EXPIRE', KEYS[3], 400 * 86400)
redis.call('ZADD', KEYS[4], whole(math.max(now, math.ceil(start * 1000))), id)
return 'created'
