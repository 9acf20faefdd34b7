-- Note what came of an attempt, if the claim still holds.
-- KEYS: the delivery, the outbox. ARGV: run's id, fence, state ('pending', 'delivered', 'given_up'), attempts' log,
--   ms until the next attempt, seconds that the delivery is kept.
-- Returns 1; 0: another deliverer has it.

if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'log', ARGV[4], 'leased_until', 0)
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
if ARGV[3] == 'pending' then
  redis.call('ZADD', KEYS[2], whole(now + ARGV[5]), ARGV[1])
else
  redis.call('ZREM', KEYS[2], ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return 1
