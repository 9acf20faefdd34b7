-- A run's record, and what stands beside it. Needs clock.lua, and of records.py TAG, the first part of every key, and
-- `bounds`: lease (ms), crashes, queue (ms a run waits for a worker), ttl (seconds a run is kept after its end), events,
-- runs (of an owner), first (of these, which come before others' later ones), delivery (seconds a delivery is kept),
-- longest (seconds an approval may wait).
--
-- A record is a hash: owner, agent, work, status, created, start, due (when a worker may have it), since (when its wait for
-- one began), started, ended (ms; '0': not yet), priority, session, shelf (the key of its owner's runs, or ''), line (the
-- key of its session's runs, or ''), claim (the number of the last), crashes, last_event, kept_event, steps, carried,
-- answer, error, cancelling ('1'), waiting (for decisions, since; '0': it does not), until (ms), waited (ms, for those that
-- were made).
-- No record of a run that is not over has an expiry. Keys: see keys.py.

local DUE, DUE_LATER, LEASES = TAG .. 'runs:due', TAG .. 'runs:due-later', TAG .. 'runs:leases'
local CANCELS = TAG .. 'runs:cancels'
local OVER = { succeeded = true, failed = true, cancelled = true, expired = true }
local micros = seconds * 1000000 + clock[2]

local function run_key(id)
  return TAG .. 'run:' .. id
end

-- Have the reconciler look at a run that nobody has, from then on.
local function look_at(id, priority, from)
  redis.call('ZADD', tonumber(priority) > 0 and DUE_LATER or DUE, whole(from), id)
end

local function look_no_more(id, priority)
  redis.call('ZREM', tonumber(priority) > 0 and DUE_LATER or DUE, id)
end

-- When the lease of the run's worker ends (ms), or nil.
local function lease_end(id)
  return tonumber(redis.call('ZSCORE', LEASES, id) or nil)
end

-- The run of the session whose turn it is, or nil. Runs that the store has lost are passed over.
local function first_of(line)
  while true do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first or redis.call('EXISTS', run_key(first)) == 1 then
      return first
    end
    redis.call('ZREM', line, first)
  end
end

-- Tell whoever listens. A server may forbid channels to its user; readers look by themselves as well, only later.
local function tell(channel, message)
  redis.pcall('PUBLISH', channel, message)
end
