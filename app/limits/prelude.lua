-- What every script here begins with: the server's clock, and what a budget looks like.
-- Money is counted in nano-dollars: whole numbers, which doubles hold exactly up to 2^53 (nine million dollars).
--
-- A budget of one period is a hash: st, sc: tokens and nano-dollars spent; rt, rc: reserved; for each run that holds a
-- reservation the field `run:ID` with "TOKENS:NANOS:MS", the last being when it counts as dead; and `due`, before which
-- none of them does.

local clock = redis.call('TIME')
local seconds = tonumber(clock[1])
local now = seconds * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- The UTC date of a second since the epoch, by Howard Hinnant's civil_from_days.
local function date(second)
  local z = math.floor(second / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor(
    (doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return year, month, day
end

local function month_days(year, month)
  if month == 2 then
    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    return leap and 29 or 28
  end
  return (month == 4 or month == 6 or month == 9 or month == 11) and 30 or 31
end

local year, month, day = date(seconds)
local day_end = (math.floor(seconds / 86400) + 1) * 86400
local PERIOD = {
  day = string.format('%04d-%02d-%02d', year, month, day),
  month = string.format('%04d-%02d', year, month),
}
local PERIOD_END = { day = day_end, month = day_end + (month_days(year, month) - day) * 86400 }
local KEPT_SECONDS = 3 * 86400 -- a period's budget, after its end: for runs that began in it

-- As the server takes integers; plus 0, because the server does not take '-0'.
local function whole(number)
  return string.format('%.0f', number + 0)
end

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

-- Write what it has become. With `expiry`, the run holds so much until then; without, nothing.
local function write_budget(budget, run, ends, expiry)
  local values = {
    'st', whole(budget.spent_tokens), 'sc', whole(budget.spent_nanos),
    'rt', whole(budget.reserved_tokens), 'rc', whole(budget.reserved_nanos),
  }
  if expiry then
    budget.due = budget.due == 0 and expiry or math.min(budget.due, expiry)
    values[9], values[10] = 'run:' .. run, whole(budget.held_tokens) .. ':' .. whole(budget.held_nanos) .. ':' .. whole(expiry)
  end
  values[#values + 1], values[#values + 2] = 'due', whole(budget.due)
  redis.call('HSET', budget.key, unpack(values))
  if not expiry then
    redis.call('HDEL', budget.key, 'run:' .. run)
  end
  if budget.new then
    redis.call('EXPIREAT', budget.key, ends + KEPT_SECONDS)
  end
end
