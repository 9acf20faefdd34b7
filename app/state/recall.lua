-- A session as it is now. KEYS: the session. Returns {the time, {field, value, …}}.

return { whole(now), redis.call('HGETALL', KEYS[1]) }
