-- Write what a worker has come to: steps, events, what its run has used, its end. All of it, or nothing. What is numbered
-- and is there already is passed over.
-- KEYS: the record; those of the settlement. ARGV: run, claim, number of the first step, of steps, number of the first
--   event, of events, carried or '', the status that ends the run or '', answer, error, delivery; steps; events; arguments
--   of the settlement, as settle.lua has them.
-- Returns names and values: cancelling, next (the run of the session that is due now, or ''), settlement (the reply of
--   settle.lua, or '{}'); or taken: 'lost' if the store does not know the run as the worker does, or ''.

local FIXED = 11 -- arguments before the steps
local id, key, claim, status = ARGV[1], KEYS[1], ARGV[2], ARGV[8]
local first_step, steps, first_event, events = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local fields = redis.call('HMGET', key, 'claim', 'status', 'cancelling', 'steps', 'last_event')
local had_steps, had_events = tonumber(fields[4]), tonumber(fields[5])
local last_step, last_event = first_step + steps - 1, first_event + events - 1

if not fields[1] then
  return { 'taken', 'lost' }
end
if fields[1] ~= claim or fields[2] ~= 'running' then
  if fields[1] == claim and status ~= '' and fields[2] == status and last_step <= had_steps and last_event <= had_events then
    -- sent again
    return { 'cancelling', '', 'next', '', 'settlement', '{}' }
  end
  return { 'taken', '' }
end
if (steps > 0 and first_step > had_steps + 1) or (events > 0 and first_event > had_events + 1) then
  return { 'taken', 'lost' } -- the store came back as it was some time ago
end

local settlement = '{}'
if settle then -- first: nothing is written yet should it fail
  local settled_keys, arguments = {}, {}
  for at = 2, #KEYS do
    settled_keys[at - 1] = KEYS[at]
  end
  for at = FIXED + steps + events + 1, #ARGV do
    arguments[#arguments + 1] = ARGV[at]
  end
  settlement = settle(settled_keys, arguments)
end

local changes, news = {}, nil
local function change(name, value)
  changes[#changes + 1] = name
  changes[#changes + 1] = value
end

if events > 0 and last_event > had_events then
  local from = FIXED + steps + 1 + math.max(0, had_events + 1 - first_event)
  local lines = table.concat(ARGV, '\n', from, FIXED + steps + events)
  local stream = key .. ':events'
  redis.call('XADD', stream, whole(last_event) .. '-0', 'e', lines)
  if last_event > bounds.events then
    redis.call('XTRIM', stream, 'MINID', whole(last_event - bounds.events + 1) .. '-0')
  end
  change('last_event', whole(last_event))
  news = whole(math.max(had_events + 1, first_event)) .. '\n' .. lines
else
  last_event = had_events
end
if steps > 0 and last_step > had_steps then
  for at = FIXED + 1 + math.max(0, had_steps + 1 - first_step), FIXED + steps do
    redis.call('RPUSH', key .. ':steps', ARGV[at])
  end
  change('steps', whole(last_step))
  change('kept_event', whole(last_event))
end
if ARGV[7] ~= '' then
  change('carried', ARGV[7])
end

local next_run = ''

-- The run leaves its session, whose next one is due now.
local function leave(line)
  redis.call('ZREM', line, id)
  local first = first_of(line)
  if first and tonumber(redis.call('ZSCORE', line, first)) <= micros then
    redis.call('HSET', run_key(first), 'due', whole(now), 'since', whole(now))
    look_at(first, redis.call('HGET', run_key(first), 'priority'), now)
    next_run = first
  end
end

if status ~= '' then
  change('status', status)
  change('answer', ARGV[9])
  change('error', ARGV[10])
  change('ended', whole(now))
  change('kept_event', whole(last_event))
  redis.call('ZREM', LEASES, id)
  for _, part in ipairs({ '', ':steps', ':events' }) do
    redis.call('EXPIRE', key .. part, bounds.ttl)
  end
  local places = redis.call('HMGET', key, 'line', 'shelf')
  if places[1] ~= '' then
    leave(places[1])
  end
  if places[2] ~= '' then
    local finished = places[2] .. '|over'
    redis.call('ZADD', finished, whole(now), id)
    if redis.call('ZCARD', finished) == redis.call('ZCARD', places[2]) then
      redis.call('EXPIRE', places[2], bounds.ttl)
      redis.call('EXPIRE', finished, bounds.ttl)
    end
  end
  if ARGV[11] ~= '' then
    redis.call('HSET', TAG .. 'delivery:' .. id, 'message', ARGV[11], 'state', 'pending', 'attempts', '0')
    redis.call('EXPIRE', TAG .. 'delivery:' .. id, bounds.delivery)
    redis.call('ZADD', TAG .. 'outbox', whole(now), id)
  end
end
if #changes > 0 then
  redis.call('HSET', key, unpack(changes))
end
if news then
  tell(key .. ':news', news)
end
return { 'cancelling', fields[3], 'next', next_run, 'settlement', settlement }
