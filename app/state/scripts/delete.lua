-- Forget a session, and for a while that it was deleted: a run that began before does not bring it back.
-- ARGV: seconds that a run may take.
-- Returns 1, or 0 if there was no such session.

local MOST_REMEMBERED = 10000

local session, deleted, seconds = KEYS[1], KEYS[2], tonumber(ARGV[1])

redis.call('ZREMRANGEBYSCORE', deleted, '-inf', whole(now - seconds * 1000000))
redis.call('ZADD', deleted, whole(now), session)
redis.call('ZREMRANGEBYRANK', deleted, 0, -1 - MOST_REMEMBERED)
redis.call('EXPIRE', deleted, seconds)
return forget(session)
