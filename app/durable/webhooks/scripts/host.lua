-- The host that a delivery goes to: its message's first field.
local function host_of(key)
  local host = redis.call('HGET', key, 'host')
  if not host then
    host = string.match(redis.call('HGET', key, 'message'), '^{"host":"([^"]*)"') or ''
    redis.call('HSET', key, 'host', host)
  end
  return host
end
