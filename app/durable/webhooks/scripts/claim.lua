-- Take deliveries that are due. Each claim has a larger fence, and holds for a lease.
-- KEYS: the outbox. ARGV: hash tag, how many, how many of one host, of one owner, lease (ms), seconds that a delivery is
--   kept from now; then for each host and owner that is being sent to or for: its name, how many, ms after which one that
--   has to wait is looked at again.
-- Returns names and values: now (ms), wait (ms until the next one is due, '' if there is none), due: [id, {names and
--   values}].
-- A delivery's `ended_at` is the time of the run's end: the script that ends a run makes it due at that time.

local tag, most, most_of_host, most_of_owner = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease, kept = tonumber(ARGV[5]), ARGV[6]
local LOOK_AT, LATER = 200, 50
local sending, pauses = {}, {}
for i = 7, #ARGV, 3 do
  sending[ARGV[i]], pauses[ARGV[i]] = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
end

local function take(id, key)
  redis.call('ZADD', KEYS[1], whole(now + lease), id)
  redis.call('HINCRBY', key, 'fence', 1)
  redis.call('HSET', key, 'leased_until', whole(now + lease))
  redis.call('HSETNX', key, 'first_at', whole(now))
  redis.call('EXPIRE', key, kept)
end

local taken = {}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, LOOK_AT)
for i = 1, #due, 2 do
  if #taken == 2 * most then break end
  local id, key = due[i], tag .. 'delivery:' .. due[i]
  if redis.call('HEXISTS', key, 'message') == 0 then
    redis.call('ZREM', KEYS[1], id)
  else
    redis.call('HSETNX', key, 'ended_at', whole(due[i + 1]))
    local host, owner = groups_of(key)
    local of_host, of_owner = sending[host] or 0, sending[owner] or 0
    if of_host < most_of_host and of_owner < most_of_owner then
      sending[host], sending[owner] = of_host + 1, of_owner + 1
      take(id, key)
      taken[#taken + 1] = id
      taken[#taken + 1] = redis.call('HGETALL', key)
    else
      local pause = math.max(pauses[host] or LATER, pauses[owner] or LATER)
      redis.call('ZADD', KEYS[1], whole(now + pause), id)
    end
  end
end
local following = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local wait = following[2] and whole(math.max(0, following[2] - now)) or ''
return { 'now', whole(now), 'wait', wait, 'due', taken }
