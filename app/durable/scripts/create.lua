-- Keep a new run, or find the one that its Idempotency-Key has made.
-- KEYS: the record; those of what it is counted towards; those of what it holds.
-- ARGV: run, owner, agent, session, the session if the caller named it or '', 'reject', 'enqueue' or 'interrupt', start
--   (ms), priority, Idempotency-Key or '', fingerprint of the body, '1' if the run is claimed at once or '', '1' if it is
--   part of a batch or '', work; number of keys and of arguments of what it is counted towards; these arguments; those of
--   what it holds, both as admit.lua has them.
-- Returns names and values: run, status, created, claim ('' without one), priority, replayed, idle: [interrupted runs that
--   no worker has], counted, admitted (replies of admit.lua, or ''); or refused: 'key', 'full', 'busy', and then the run
--   that is not over, and its status, or 'rate', and then counted.

local id, owner, session, named, on_busy = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]
local priority, fingerprint, here, of_batch = ARGV[8], ARGV[10], ARGV[11] == '1', ARGV[12] == '1'
local key, shelf = KEYS[1], TAG .. 'runs-of:' .. owner
local line = named ~= '' and shelf .. '|session:' .. named or ''
local keyed = ARGV[9] ~= '' and shelf .. '|key:' .. ARGV[9]
local KEYED_SECONDS, LATER = 86400, '9'
local FIXED = 15 -- arguments before those of its limits
local held_keys, held_at = 2 + ARGV[14], FIXED + 1 + ARGV[15] -- where what it holds begins

local function part(list, from, to)
  local found = {}
  for at = from, to do
    found[#found + 1] = list[at]
  end
  return found
end

local counted, admitted = '', ''
if admit and held_at > FIXED + 1 then
  counted = admit(part(KEYS, 2, held_keys - 1), part(ARGV, FIXED + 1, held_at - 1))
  if string.find(counted, '^{"refusal"') then
    return { 'refused', 'rate', 'counted', counted }
  end
end

if keyed then
  local made = redis.call('HMGET', keyed, 'run', 'fingerprint', 'created')
  if made[1] and made[2] ~= fingerprint then
    return { 'refused', 'key' }
  elseif made[1] and made[1] ~= id then
    local status = redis.call('HGET', run_key(made[1]), 'status') or 'queued'
    return { 'run', made[1], 'status', status, 'created', made[3], 'claim', '', 'priority', priority, 'replayed', '1',
      'idle', {}, 'counted', counted, 'admitted', '' }
  end
end

local known = redis.call('HMGET', key, 'status', 'created', 'claim', 'priority')
if known[1] then -- sent again
  local claim = here and known[1] == 'running' and known[3] == '1' and '1' or ''
  return { 'run', id, 'status', known[1], 'created', known[2], 'claim', claim, 'priority', known[4], 'replayed', '',
    'idle', {}, 'counted', counted, 'admitted', '' }
end

local start = math.max(now, tonumber(ARGV[7]))
local before = {} -- it, in its session; a run whose time comes later takes its turn then
if line ~= '' and start <= now and first_of(line) then
  before = redis.call('ZRANGEBYSCORE', line, '-inf', whole(micros))
  if #before > 0 and on_busy == 'reject' then
    return { 'refused', 'busy', 'run', before[1], 'status', redis.call('HGET', run_key(before[1]), 'status') }
  end
end

if not of_batch then
  local finished = shelf .. '|over'
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', finished, '-inf', whole(now - bounds.ttl * 1000), 'LIMIT', 0, 100)) do
    redis.call('ZREM', shelf, gone)
    redis.call('ZREM', finished, gone)
  end
  while redis.call('ZCARD', shelf) >= bounds.runs do
    local oldest = redis.call('ZRANGE', finished, 0, 0)[1]
    if not oldest then
      return { 'refused', 'full' }
    end
    redis.call('ZREM', shelf, oldest)
    redis.call('ZREM', finished, oldest)
    local gone = run_key(oldest)
    redis.call('UNLINK', gone, gone .. ':steps', gone .. ':events')
  end
  if priority == '0' and redis.call('ZCARD', shelf) - redis.call('ZCARD', finished) >= bounds.first then
    priority = LATER -- others, who have fewer, come before it
  end
  redis.call('ZADD', shelf, whole(micros), id)
  redis.call('PERSIST', shelf)
  redis.call('PERSIST', finished)
end

local idle = {}
for _, other in ipairs(on_busy == 'interrupt' and before or {}) do
  local lease = lease_end(other)
  redis.call('HSET', run_key(other), 'cancelling', '1')
  if lease and lease > now then
    tell(CANCELS, other)
  else
    idle[#idle + 1] = other
    if not lease then
      look_at(other, redis.call('HGET', run_key(other), 'priority'), now)
    end
  end
end

local begins = here and #before == 0 and start <= now
redis.call('HSET', key, 'owner', owner, 'agent', ARGV[3], 'work', ARGV[13], 'status', begins and 'running' or 'queued',
  'created', whole(now), 'start', ARGV[7], 'due', whole(start), 'since', whole(start), 'started', begins and whole(now) or '0', 'ended', '0',
  'priority', priority, 'session', session, 'shelf', of_batch and '' or shelf, 'line', line,
  'claim', begins and '1' or '0', 'crashes', '0', 'last_event', '0', 'kept_event', '0', 'steps', '0', 'carried', '',
  'answer', '', 'error', '', 'cancelling', '', 'waiting', '0', 'until', '0', 'waited', '0')
if line ~= '' then
  redis.call('ZADD', line, begins and '0' or whole(start > now and start * 1000 or micros), id)
end
if begins then
  redis.call('ZADD', LEASES, whole(now + bounds.lease), id)
  if admit and held_at <= #ARGV then
    admitted = admit(part(KEYS, held_keys, #KEYS), part(ARGV, held_at, #ARGV))
  end
else
  look_at(id, priority, #before > 0 and start + bounds.queue or start)
end
if keyed then
  redis.call('HSET', keyed, 'run', id, 'fingerprint', fingerprint, 'created', whole(now))
  redis.call('EXPIRE', keyed, KEYED_SECONDS)
end
return { 'run', id, 'status', begins and 'running' or 'queued', 'created', whole(now), 'claim', begins and '1' or '',
  'priority', priority, 'replayed', '', 'idle', idle, 'counted', counted, 'admitted', admitted }
