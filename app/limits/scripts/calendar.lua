-- UTC days and months. Needs clock.lua.

local DAY = 86400 -- seconds
local year, month, day, today

local function quotient(dividend, divisor)
  return (dividend - dividend % divisor) / divisor
end

-- The date, by Howard Hinnant's civil_from_days: 'YYYY-MM-DD'.
local function date()
  if not today then
    local z = quotient(seconds, DAY) + 719468
    local era = quotient(z, 146097)
    local doe = z - era * 146097
    local yoe = quotient(doe - quotient(doe, 1460) + quotient(doe, 36524) - quotient(doe, 146096), 365)
    local doy = doe - (365 * yoe + quotient(yoe, 4) - quotient(yoe, 100))
    local mp = quotient(5 * doy + 2, 153)
    day = doy - quotient(153 * mp + 2, 5) + 1
    month = mp < 10 and mp + 3 or mp - 9
    year = yoe + era * 400 + (month <= 2 and 1 or 0)
    today = string.format('%04d-%02d-%02d', year, month, day)
  end
  return today
end

-- The name of the 'day' or 'month' of `of_day`, a date; or of today, where that is ''.
local function period(unit, of_day)
  local named = of_day ~= '' and of_day or date()
  return unit == 'day' and named or string.sub(named, 1, 7)
end

local function month_days()
  if month == 2 then
    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    return leap and 29 or 28
  end
  return (month == 4 or month == 6 or month == 9 or month == 11) and 30 or 31
end

-- When the current 'day' or 'month' ends: seconds since the epoch.
local function period_end(unit)
  local day_end = (quotient(seconds, DAY) + 1) * DAY
  if unit == 'day' then
    return day_end
  end
  date()
  return day_end + (month_days() - day) * DAY
end
