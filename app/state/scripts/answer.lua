-- What the scripts of answers begin with: the server's clock in milliseconds, and how an answer is read.
--
-- An answer is a hash: when it was made (ms), and what it says. Its lead is a hash: `by` whom it is made, or `alone`;
-- and of each who waits for it in another process, when they looked last (ms).

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Its age (ms) and what it says; nothing if there is none.
local function kept(key)
  local at, answer = unpack(redis.call('HMGET', key, 'at', 'answer'))
  if at and answer then
    return math.max(now - tonumber(at), 0), answer
  end
end
