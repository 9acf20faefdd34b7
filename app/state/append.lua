-- Keep a turn, unless its session was deleted since the turn's run began, and let the oldest go where there is too much.
-- ARGV: the turn's id, the turn, when its run began (µs; '': now); most turns and bytes of a session, seconds it is kept;
--   most sessions and bytes of each shelf.
-- Returns 1, or 0 for a deleted session.

local session, deleted = KEYS[1], KEYS[2]
local began = tonumber(ARGV[3]) or now
local most_turns, most_bytes, seconds = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local deletion = redis.call('ZSCORE', deleted, session)
if deletion and tonumber(deletion) >= began then
  return 0
end

redis.call('HSET', session, string.format('%016.0f:%s', began, ARGV[1]), ARGV[2])
local bytes = redis.call('HINCRBY', session, 'bytes', #ARGV[2])
local turns = redis.call('HLEN', session) - 1
if turns > most_turns or bytes > most_bytes then
  local fields = redis.call('HKEYS', session)
  table.sort(fields) -- `bytes` comes last
  for place = 1, turns - 1 do
    if turns <= most_turns and bytes <= most_bytes then
      break
    end
    bytes = redis.call('HINCRBY', session, 'bytes', '-' .. redis.call('HSTRLEN', session, fields[place]))
    redis.call('HDEL', session, fields[place])
    turns = turns - 1
  end
end
redis.call('EXPIRE', session, seconds)

local expired = now - seconds * 1000000
for at = 3, #KEYS, 2 do
  local index, sizes = KEYS[at], KEYS[at + 1]
  local most_sessions, most_total = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local before = tonumber(redis.call('HGET', sizes, session) or 0)
  redis.call('ZADD', index, whole(now), session)
  redis.call('HSET', sizes, session, bytes)
  local total = redis.call('HINCRBY', sizes, '', bytes - before)
  redis.call('EXPIRE', index, seconds)
  redis.call('EXPIRE', sizes, seconds)
  while true do
    local oldest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    local kept = total <= most_total and tonumber(oldest[2]) > expired and redis.call('ZCARD', index) <= most_sessions
    if kept or oldest[1] == session then
      break
    end
    forget(oldest[1])
    total = tonumber(redis.call('HGET', sizes, ''))
  end
end
return 1
