-- A caller's sessions, the last used first. KEYS: the caller's index.
-- ARGV: how their keys begin; before when they were last used (µs, or '+inf'); most sessions.
-- Returns {key, last used (µs), turns; …}.

local STEP = 100

local index, prefix, before, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local found = {}
if before ~= '+inf' then
  before = '(' .. before
end
local at = 0
while #found < most * 3 do
  local rows = redis.call('ZREVRANGEBYSCORE', index, before, '-inf', 'WITHSCORES', 'LIMIT', at, STEP)
  for place = 1, #rows, 2 do
    local session = rows[place]
    if string.sub(session, 1, #prefix) == prefix and #found < most * 3 then
      local turns = redis.call('HLEN', session) - 1
      if turns > 0 then
        found[#found + 1] = session
        found[#found + 1] = rows[place + 1]
        found[#found + 1] = turns
      end
    end
  end
  if #rows < STEP * 2 then
    break
  end
  at = at + STEP
end
return found
