-- Whom a delivery goes to and whose it is: the message's first fields. Of each of both only some are sent at once.
local function groups_of(key)
  local known = redis.call('HMGET', key, 'host', 'owner')
  if known[1] and known[2] then
    return 'host ' .. known[1], 'owner ' .. known[2]
  end
  local message = redis.call('HGET', key, 'message')
  local host, owner = string.match(message, '^{"host":"([^"]*)","owner":"([^"]*)"')
  redis.call('HSET', key, 'host', host or '', 'owner', owner or '')
  return 'host ' .. (host or ''), 'owner ' .. (owner or '')
end
