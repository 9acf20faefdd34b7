-- What every script here begins with: the server's clock, and what a budget looks like.
-- Money is counted in nano-dollars: whole numbers, which doubles hold exactly up to 2^53 (nine million dollars).
--
-- A budget of one period is a hash: st, sc: tokens and nano-dollars spent; rt, rc: reserved; and for each run that
-- holds a reservation the field `run:ID` with "TOKENS:NANOS". Beside it KEY:leases, a sorted set of those runs by the
-- millisecond at which they count as dead.

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

local function held_by(key, run)
  local held = redis.call('HGET', key, 'run:' .. run)
  if not held then
    return nil
  end
  local tokens, nanos = string.match(held, '^(%d+):(%d+)$')
  return tonumber(tokens), tonumber(nanos)
end

local function release(key, run, tokens, nanos)
  redis.call('HINCRBY', key, 'rt', whole(-tokens))
  redis.call('HINCRBY', key, 'rc', whole(-nanos))
  redis.call('HDEL', key, 'run:' .. run)
  redis.call('ZREM', key .. ':leases', run)
end

-- Give back what dead processes hold.
local function release_dead(key)
  for _, run in ipairs(redis.call('ZRANGEBYSCORE', key .. ':leases', '-inf', whole(now))) do
    local tokens, nanos = held_by(key, run)
    if tokens then
      release(key, run, tokens, nanos)
    else
      redis.call('ZREM', key .. ':leases', run)
    end
  end
end

-- Spent tokens and nanos, reserved tokens and nanos.
local function balance(key)
  local fields = redis.call('HMGET', key, 'st', 'sc', 'rt', 'rc')
  return tonumber(fields[1] or 0), tonumber(fields[2] or 0), tonumber(fields[3] or 0), tonumber(fields[4] or 0)
end
