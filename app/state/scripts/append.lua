-- Keep a turn, unless its session was deleted since the turn's run began; one that is there already is replaced. Where
-- there is too much the oldest go until half is left: a session that lost a turn with each new one would begin differently
-- each time, and providers' caches read a prompt only as far as it begins like the one before.
-- ARGV: the turn's id, the turn, when its run began (µs; '': now). `bounds` are set by sessions.py: most turns and bytes of
--   a session, seconds it is kept; most sessions and bytes of each shelf.
-- Returns 1, or 0 for a deleted session.

local session, turn = KEYS[1], ARGV[2]
local began = tonumber(ARGV[3]) or now
local most_turns, most_bytes, seconds = bounds[1], bounds[2], bounds[3]

local deletion = redis.call('ZSCORE', KEYS[2], session)
if deletion and tonumber(deletion) >= began then
  return 0
end

local field, added = string.format('%016.0f:%s', began, ARGV[1]), #turn
if redis.call('HSETNX', session, field, turn) == 0 then -- of a run that goes on after its process died: its end counts
  added = added - redis.call('HSTRLEN', session, field)
  redis.call('HSET', session, field, turn)
end
local bytes = redis.call('HINCRBY', session, 'bytes', whole(added))
local before = bytes - added
local turns = redis.call('HLEN', session) - 1
if turns > most_turns or bytes > most_bytes then
  local fields = redis.call('HKEYS', session)
  table.sort(fields) -- `bytes` comes last
  local left_turns = turns > most_turns and math.ceil(most_turns / 2) or most_turns
  local left_bytes = bytes > most_bytes and most_bytes / 2 or most_bytes
  for place = 1, turns - 1 do
    if turns <= left_turns and bytes <= left_bytes then
      break
    end
    bytes = redis.call('HINCRBY', session, 'bytes', '-' .. redis.call('HSTRLEN', session, fields[place]))
    redis.call('HDEL', session, fields[place])
    turns = turns - 1
  end
end
redis.call('EXPIRE', session, seconds)

for at = 3, #KEYS, 2 do
  local index, sizes = KEYS[at], KEYS[at + 1]
  local most_sessions, most_total = bounds[at + 1], bounds[at + 2]
  local new = redis.call('ZADD', index, whole(now), session) == 1
  local size = redis.call('HINCRBY', sizes, session, bytes - before)
  local total = redis.call('HINCRBY', sizes, '', bytes - before + (bytes - size))
  if size ~= bytes then -- the session was forgotten elsewhere, and has begun anew
    redis.call('HSET', sizes, session, bytes)
  end
  if redis.call('TTL', index) < seconds * 0.99 then -- one command instead of two, mostly
    redis.call('EXPIRE', index, seconds)
    redis.call('EXPIRE', sizes, seconds)
  end
  while total > most_total or (new and redis.call('ZCARD', index) > most_sessions) do
    local oldest = redis.call('ZRANGE', index, 0, 0)[1]
    if oldest == session then
      break
    end
    forget(oldest)
    total = tonumber(redis.call('HGET', sizes, ''))
  end
end
return 1
