-- What every script of sessions begins with: the server's clock in microseconds, and how a session goes.
--
-- A session is a hash: a field for each turn, whose name begins with when its run began, so that turns stand in the order
-- of their questions whichever ends first; and `bytes`, the sum of what the turns take.
-- It stands on shelves: its caller's, and where the store is in a process also that of all callers. A shelf has an index,
-- the sessions by when they were last used, and sizes: what each of them takes and, under '', all of them.
-- KEYS are the session, the deleted sessions, then an index and sizes for each shelf.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- As the server takes integers.
local function whole(number)
  return string.format('%.0f', number)
end

-- Remove a session, also from its shelves. Returns 1, or 0 if there was none.
local function forget(session)
  for at = 3, #KEYS, 2 do
    local index, sizes = KEYS[at], KEYS[at + 1]
    if redis.call('ZREM', index, session) == 1 then
      redis.call('HINCRBY', sizes, '', '-' .. redis.call('HGET', sizes, session))
      redis.call('HDEL', sizes, session)
    end
  end
  return redis.call('DEL', session)
end

