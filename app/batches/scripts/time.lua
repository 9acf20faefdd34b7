local time = redis.call('TIME')
local ms = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000

local function digits(number)
  return string.format('%.0f', number + 0)
end

local function in_seconds()
  return string.format('%.3f', ms / 1000)
end
