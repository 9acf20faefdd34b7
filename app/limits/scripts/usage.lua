-- Counting a model call in the usage of its user, day and model. Needs clock.lua and calendar.lua.
-- A user is a name, or `address:ADDRESS NAME` for a name that anyone may have made up.

local MOST_ADDRESSES = 1000 -- a day, whose usage is kept apart
local MOST_FIELDS = 700 -- of an address and day: about a hundred names; all further ones are one
local KINDS = { 'input ', 'output ', 'cache_read ', 'cache_write ', 'nanos ', 'uncertain ' }

local function begin_usage(day_key, owner, kept)
  redis.call('EXPIRE', day_key .. ':' .. owner, kept)
  redis.call('SADD', day_key, owner)
  redis.call('EXPIRE', day_key, kept)
end

-- Count one call of a caller whose name may be made up. Returns the key and what its fields end with.
local function count_made_up(day_key, address, name, model, kept)
  local key, of = day_key .. ':' .. address, name .. ' ' .. model
  if redis.call('HINCRBY', key, 'calls ' .. of, 1) > 1 then
    return key, of
  end
  local crowded = redis.call('HLEN', key) > MOST_FIELDS
  local strange = redis.call('SISMEMBER', day_key, address) == 0 and redis.call('SCARD', day_key) >= MOST_ADDRESSES
  if not (crowded or strange) then
    begin_usage(day_key, address, kept)
    return key, of
  end
  redis.call('HDEL', key, 'calls ' .. of)
  local owner = crowded and address or 'address:others'
  key, of = day_key .. ':' .. owner, 'anonymous:anonymous ' .. model
  redis.call('HINCRBY', key, 'calls ' .. of, 1)
  begin_usage(day_key, owner, kept)
  return key, of
end

-- Count a call, whose model and counts stand in ARGV from `at` on, and keep it for so many seconds.
local function count_call(day_key, user, at, kept)
  local model = ARGV[at]
  local key, of = day_key .. ':' .. user, model
  local space = string.find(user, ' ', 1, true)
  if space then
    key, of = count_made_up(day_key, string.sub(user, 1, space - 1), string.sub(user, space + 1), model, kept)
  elseif redis.call('HINCRBY', key, 'calls ' .. of, 1) == 1 then
    begin_usage(day_key, user, kept)
  end
  for place = 1, #KINDS do
    local count = ARGV[at + place]
    if count ~= '0' then
      redis.call('HINCRBY', key, KINDS[place] .. of, count)
    end
  end
end
