-- Approvals. Needs run.lua.
--
-- An approval is a hash: run, tool, team (of whoever asked for the run, or ''), status, binding, created (µs), expires,
-- decided (ms; '0': not yet), by, comment, claim (that has used it up, or ''), asked (JSON of all that is asked about).
-- Those of a run are kept as long as it is. Keys: see keys.py.

local APPROVALS, PENDING = TAG .. 'approvals', TAG .. 'approvals:pending'

local function approval_key(id)
  return TAG .. 'approval:' .. id
end

-- The lists of all approvals, or of all that wait for a decision, that one of this team is on.
local function lists_of(list, team)
  return team == '' and { list } or { list, list .. '|' .. team }
end

-- Have somebody asked. What was asked before under this id stays.
local function ask(run, id, team, tool, binding, expires, asked)
  if redis.call('EXISTS', approval_key(id)) == 1 then
    return
  end
  local kept = bounds.ttl + bounds.longest
  redis.call('HSET', approval_key(id), 'run', run, 'tool', tool, 'team', team, 'status', 'pending', 'binding', binding,
    'created', whole(micros), 'expires', expires, 'decided', '0', 'by', '', 'comment', '', 'claim', '', 'asked', asked)
  redis.call('SADD', run_key(run) .. ':approvals', id)
  for _, list in ipairs(lists_of(APPROVALS, team)) do
    redis.call('ZREMRANGEBYSCORE', list, '-inf', whole(micros - kept * 1000000))
    redis.call('ZADD', list, whole(micros), id)
    redis.call('EXPIRE', list, kept)
  end
  for _, list in ipairs(lists_of(PENDING, team)) do
    redis.call('ZADD', list, whole(micros), id)
  end
end

-- It waits no more.
local function settle_approval(id, team, status)
  redis.call('HSET', approval_key(id), 'status', status)
  for _, list in ipairs(lists_of(PENDING, team)) do
    redis.call('ZREM', list, id)
  end
end

-- Whether some of the run's wait for a decision.
local function waits(run)
  for _, id in ipairs(redis.call('SMEMBERS', run_key(run) .. ':approvals')) do
    if redis.call('HGET', approval_key(id), 'status') == 'pending' then
      return true
    end
  end
  return false
end

-- Have a run that has waited for decisions (since `waiting`, ms; before that for `waited` ms) be worked on.
local function go_on(run, priority, waiting, waited)
  redis.call('HSET', run_key(run), 'status', 'queued', 'due', whole(now), 'since', whole(now), 'waiting', '0', 'until', '0',
    'waited', whole((waited or 0) + now - waiting))
  look_at(run, priority, now)
end

-- Have no call be made with the run's: what was asked is not the question any more. Those that wait become `word`.
-- Returns what became of each of these: id, status, tool.
local function close_approvals(run, word)
  local closed = {}
  for _, id in ipairs(redis.call('SMEMBERS', run_key(run) .. ':approvals')) do
    local fields = redis.call('HMGET', approval_key(id), 'status', 'team', 'tool')
    local status = fields[1] == 'pending' and word or fields[1] == 'approved' and 'withdrawn' or nil
    if status then
      settle_approval(id, fields[2], status)
    end
    if fields[1] == 'pending' then
      closed[#closed + 1] = id
      closed[#closed + 1] = status
      closed[#closed + 1] = fields[3]
    end
  end
  return closed
end

-- Whether a call may use it up: once, approved, in time, for exactly that. Sent again by the same worker, it still may.
local function holds(id, run, claim, binding)
  local fields = redis.call('HMGET', approval_key(id), 'run', 'status', 'binding', 'expires', 'claim')
  if fields[1] ~= run or fields[3] ~= binding then
    return false
  end
  return fields[2] == 'approved' and tonumber(fields[4]) > now or fields[2] == 'consumed' and fields[5] == claim
end
