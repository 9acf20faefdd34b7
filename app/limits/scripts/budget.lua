-- What a budget looks like, and how runs hold parts of it. Needs clock.lua and calendar.lua.
-- Money is counted in nano-dollars: whole numbers, which doubles hold exactly up to 2^53 (nine million dollars).
--
-- A budget of one period is a hash: st, sc: tokens and nano-dollars spent; rt, rc: reserved; for each run that holds a
-- reservation the field `run:ID` with "TOKENS:NANOS:MS", the last being when it counts as dead; and `due`, before which
-- none of them does.

local KEPT_SECONDS = 3 * DAY -- a period's budget, after its end: for runs that began in it
local HELD = '^(%d+):(%d+):(%d+)$'

-- The budget at `key`, without what dead processes hold; of `run`, if given, what it holds: held_tokens, held_nanos.
local function read_budget(key, run)
  local run_field = run and 'run:' .. run or 'st'
  local fields = redis.call('HMGET', key, 'st', 'sc', 'rt', 'rc', 'due', run_field)
  local budget = {
    key = key,
    new = not fields[1],
    spent_tokens = tonumber(fields[1] or 0),
    spent_nanos = tonumber(fields[2] or 0),
    reserved_tokens = tonumber(fields[3] or 0),
    reserved_nanos = tonumber(fields[4] or 0),
    due = tonumber(fields[5] or 0),
  }
  if run and fields[6] then
    local tokens, nanos = string.match(fields[6], HELD)
    budget.held_tokens, budget.held_nanos = tonumber(tokens), tonumber(nanos)
  end
  if budget.new or now < budget.due then
    return budget
  end
  local all, due = redis.call('HGETALL', key), now + 3600000
  for at = 1, #all, 2 do
    local tokens, nanos, expiry = string.match(all[at + 1], HELD)
    if expiry and tonumber(expiry) <= now then
      budget.reserved_tokens = budget.reserved_tokens - tonumber(tokens)
      budget.reserved_nanos = budget.reserved_nanos - tonumber(nanos)
      redis.call('HSET', key, 'rt', whole(budget.reserved_tokens), 'rc', whole(budget.reserved_nanos))
      redis.call('HDEL', key, all[at])
      if all[at] == run_field then
        budget.held_tokens, budget.held_nanos = nil, nil
      end
    elseif expiry then
      due = math.min(due, tonumber(expiry))
    end
  end
  budget.due = due
  redis.call('HSET', key, 'due', whole(due))
  return budget
end

local RESERVED_WAIT = 5000 -- ms until it makes sense to ask again when others' reservations are in the way

-- What a run that holds `held` may hold of a budget that has `left` beside it: what it wants, or else half of what is
-- left, so that one run does not keep out all others, but never less than `least`. nil: not even that is there.
local function share(wanted, least, held, left)
  if held + left < least then
    return nil
  end
  return math.max(held, math.min(wanted, math.max(least, held + math.floor(left / 2))))
end

-- How much of a budget a run may hold, of both units: tokens, nanos; or nil and what refuses it: the unit, ms to wait,
-- ms to the end of the period. Limits below 0 are none.
local function fit(budget, most_tokens, most_nanos, wanted_tokens, wanted_nanos, least_tokens, least_nanos)
  local reset = (budget.ends - seconds) * 1000
  local function part(most, spent, reserved, wanted, least, held)
    if most < 0 then
      return wanted
    end
    return share(wanted, least, held or 0, most - spent - reserved), spent + least > most and reset or RESERVED_WAIT
  end
  local tokens, wait = part(
    most_tokens, budget.spent_tokens, budget.reserved_tokens, wanted_tokens, least_tokens, budget.held_tokens)
  if not tokens then
    return nil, 'tokens', wait, reset
  end
  local nanos
  nanos, wait = part(
    most_nanos, budget.spent_nanos, budget.reserved_nanos, wanted_nanos, least_nanos, budget.held_nanos)
  if not nanos then
    return nil, 'usd', wait, reset
  end
  return tokens, nanos
end

-- Reserve for the run what it does not hold yet of so much.
local function hold(budget, tokens, nanos)
  local held_tokens, held_nanos = budget.held_tokens or 0, budget.held_nanos or 0
  budget.held_tokens, budget.held_nanos = math.max(held_tokens, tokens), math.max(held_nanos, nanos)
  budget.reserved_tokens = budget.reserved_tokens + budget.held_tokens - held_tokens
  budget.reserved_nanos = budget.reserved_nanos + budget.held_nanos - held_nanos
end

-- Write what it has become. With `expiry`, the run holds so much until then; without, nothing.
-- Returns what is spent, as replies have it.
local function write_budget(budget, run, ends, expiry)
  local key, held = budget.key, 'run:' .. run
  local spent_tokens, spent_nanos = whole(budget.spent_tokens), whole(budget.spent_nanos)
  local reserved_tokens, reserved_nanos = whole(budget.reserved_tokens), whole(budget.reserved_nanos)
  if expiry then
    budget.due = budget.due == 0 and expiry or math.min(budget.due, expiry)
    redis.call('HSET', key, 'st', spent_tokens, 'sc', spent_nanos, 'rt', reserved_tokens, 'rc', reserved_nanos,
      'due', whole(budget.due), held, string.format('%.0f:%.0f:%.0f', budget.held_tokens + 0, budget.held_nanos + 0, expiry))
  else
    redis.call('HSET', key, 'st', spent_tokens, 'sc', spent_nanos, 'rt', reserved_tokens, 'rc', reserved_nanos,
      'due', whole(budget.due))
    redis.call('HDEL', key, held)
  end
  if budget.new then
    redis.call('EXPIREAT', key, ends + KEPT_SECONDS)
  end
  return { tokens = spent_tokens, nanos = spent_nanos }
end
