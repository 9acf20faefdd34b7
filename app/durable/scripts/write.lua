-- Write what a worker has come to: steps, events, what its run has used, its end, what a person is asked. All of it, or
-- nothing. What is numbered and is there already is passed over.
-- KEYS: the record; those of the settlement. ARGV: run, claim, number of the first step, of steps, number of the first
--   event, of events, carried or '', the status that ends the run, or 'waiting', or '', answer, error, delivery, what is
--   kept of the work then or '', until when it waits (ms), number of approvals that are asked for, of those that are used
--   up; steps; events; for each that is asked for the approval, team, tool, binding, when it expires (ms), what is asked;
--   for each that is used up the approval and the binding; arguments of the settlement, as settle.lua has them.
-- Returns names and values: cancelling, next (the run that is due now: of the session, or this one, on which all was decided
--   meanwhile; or ''), settlement (the reply of settle.lua, or '{}'), closed: [approval, status, tool of each that waits no
--   more]; or taken: 'lost' if the store does not know the run as the worker does, or ''; or unapproved: [approvals that do
--   not hold].

local FIXED, OF_ASKED, OF_CONSUMED = 15, 6, 2 -- arguments before the steps, for each approval
local id, key, claim, status = ARGV[1], KEYS[1], ARGV[2], ARGV[8]
local first_step, steps, first_event, events = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local asked, consumed = tonumber(ARGV[14]), tonumber(ARGV[15])
local asked_at = FIXED + steps + events
local consumed_at = asked_at + asked * OF_ASKED
local settled_at = consumed_at + consumed * OF_CONSUMED
local fields = redis.call('HMGET', key, 'claim', 'status', 'cancelling', 'steps', 'last_event')
local had_steps, had_events = tonumber(fields[4]), tonumber(fields[5])
local last_step, last_event = first_step + steps - 1, first_event + events - 1

if not fields[1] then
  return { 'taken', 'lost' }
end
if fields[1] ~= claim or fields[2] ~= 'running' then
  if fields[1] == claim and status ~= '' and fields[2] == status and last_step <= had_steps and last_event <= had_events then
    -- sent again
    return { 'cancelling', '', 'next', '', 'settlement', '{}', 'closed', {} }
  end
  return { 'taken', '' }
end
if (steps > 0 and first_step > had_steps + 1) or (events > 0 and first_event > had_events + 1) then
  return { 'taken', 'lost' } -- the store came back as it was some time ago
end

local unapproved = {}
for at = consumed_at + 1, settled_at, OF_CONSUMED do
  if not holds(ARGV[at], id, claim, ARGV[at + 1]) then
    unapproved[#unapproved + 1] = ARGV[at]
  end
end
if #unapproved > 0 then
  return { 'unapproved', unapproved }
end

local settlement = '{}'
if settle then -- first: nothing is written yet should it fail
  local settled_keys, arguments = {}, {}
  for at = 2, #KEYS do
    settled_keys[at - 1] = KEYS[at]
  end
  for at = settled_at + 1, #ARGV do
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

for at = consumed_at + 1, settled_at, OF_CONSUMED do
  redis.call('HSET', approval_key(ARGV[at]), 'status', 'consumed', 'claim', claim)
end
local closed = {}
if asked > 0 and last_step > had_steps then -- not sent again
  closed = close_approvals(id, 'withdrawn')
end
for at = asked_at + 1, consumed_at, OF_ASKED do
  ask(id, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
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

if status == 'waiting' then
  redis.call('ZREM', LEASES, id)
  local kept = redis.call('HMGET', key, 'priority', 'waited')
  if waits(id) then
    change('status', status)
    change('waiting', whole(now))
    change('until', ARGV[13])
    look_at(id, kept[1], fields[3] == '1' and now or ARGV[13])
  else
    go_on(id, kept[1], now, kept[2])
    next_run = id
  end
elseif status ~= '' then
  change('status', status)
  change('answer', ARGV[9])
  change('error', ARGV[10])
  change('ended', whole(now))
  change('kept_event', whole(last_event))
  if ARGV[12] ~= '' then
    change('work', ARGV[12])
  end
  redis.call('UNLINK', key .. ':steps')
  redis.call('ZREM', LEASES, id)
  closed = close_approvals(id, status == 'expired' and 'expired' or 'withdrawn')
  for _, approval in ipairs(redis.call('SMEMBERS', key .. ':approvals')) do
    redis.call('EXPIRE', approval_key(approval), bounds.ttl)
  end
  for _, part in ipairs({ '', ':events', ':approvals' }) do
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
return { 'cancelling', fields[3], 'next', next_run, 'settlement', settlement, 'closed', closed }
