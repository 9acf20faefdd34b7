-- The server's clock: seconds since the epoch, and milliseconds.

local clock = redis.call('TIME')
local seconds = tonumber(clock[1])
local now = seconds * 1000 + (clock[2] - clock[2] % 1000) / 1000

-- An integer as text. The server takes integers so, and cjson writes no more than 14 digits of a number.
-- Plus 0, because the server does not take '-0'.
local function whole(number)
  return string.format('%.0f', number + 0)
end
