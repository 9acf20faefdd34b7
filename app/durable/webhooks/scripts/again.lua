-- Make a delivery due now, whatever came of it, with all its attempts before it. One that is just being sent stays.
-- KEYS: the delivery, the outbox. ARGV: run's id, message, the run's end (ms), seconds that the delivery is kept.

if tonumber(redis.call('HGET', KEYS[1], 'leased_until') or 0) > now then
  return 0
end
redis.call('HSET', KEYS[1], 'message', ARGV[2], 'ended_at', ARGV[3], 'state', 'pending', 'attempts', 0)
redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HDEL', KEYS[1], 'first_at')
redis.call('ZADD', KEYS[2], whole(now), ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
