-- Admit a run, all of it or nothing; or, as a renewal, keep what an admitted run holds.
-- KEYS: rates, running sets, budgets (a period is added here), the run's settlement mark.
-- ARGV: run, 'admit' or 'renew', terms; tokens and nanos to reserve, and the least of each that the run can begin with
--   where a budget is short (see `share`); and for each budget its period, if that is known.
-- Terms are words in one text, which is the same for many runs: lease in ms, number of rates, of running sets, of
--   budgets; a limit for each rate; one for each running set; for each budget 'day' or 'month', most tokens, most nanos
--   (-1: no limit).
-- Returns {1, tokens, nanos reserved; for each rate: left, ms until more; for each running set: left;
--          for each budget: period, spent tokens, spent nanos}
--      or {0, 'rate' or 'running' or 'tokens' or 'usd', place among its kind, ms to wait, for budgets ms to reset}.

local WINDOW = 60000 -- ms
local MOST_DROPPED = 500 -- old entries of one rate, at a time; the others wait for the next admission

local terms = {}
for word in string.gmatch(ARGV[3], '%S+') do
  terms[#terms + 1] = tonumber(word) or word
end

local run, renewal = ARGV[1], ARGV[2] == 'renew'
local lease, rates, sets, budgets = terms[1], terms[2], terms[3], terms[4]
local limits = 4 -- what the terms have before the limits
local tokens, nanos = tonumber(ARGV[4]), tonumber(ARGV[5])
local least_tokens, least_nanos = tonumber(ARGV[6]), tonumber(ARGV[7])
local expiry = now + lease
local answer = { 1, tokens, nanos }

if renewal then
  local mark = redis.call('GET', KEYS[#KEYS])
  if mark and tonumber(mark) % 2 == 1 then
    return { 1, 0, 0 } -- settled in the meantime
  end
end

for i = 1, rates do
  local key, limit = KEYS[i], terms[limits + i]
  local oldest = tonumber(redis.call('LINDEX', key, 0) or nil)
  local dropped = 0
  while oldest and oldest <= now - WINDOW and dropped < MOST_DROPPED do
    redis.call('LPOP', key)
    oldest = tonumber(redis.call('LINDEX', key, 0) or nil)
    dropped = dropped + 1
  end
  local count = redis.call('LLEN', key)
  if count >= limit then
    local leaves = tonumber(redis.call('LINDEX', key, count - limit)) + WINDOW
    if leaves > now then
      return { 0, 'rate', i, leaves - now }
    end
    count = limit - 1
  end
  answer[#answer + 1] = limit - count - 1
  answer[#answer + 1] = (oldest or now) + WINDOW - now
end

for i = 1, sets do
  local key, limit = KEYS[rates + i], terms[limits + rates + i]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  local count = redis.call('ZCARD', key)
  if not renewal then
    if count >= limit and not redis.call('ZSCORE', key, run) then
      return { 0, 'running', i, 1000 }
    end
    answer[#answer + 1] = math.max(limit - count - 1, 0)
  end
end

local asked = {}
for i = 1, budgets do
  local at = limits + rates + sets + (i - 1) * 3
  local unit, most_tokens, most_nanos = terms[at + 1], terms[at + 2], terms[at + 3]
  local period = ARGV[7 + i] or PERIOD[unit]
  local budget = read_budget(KEYS[rates + sets + i] .. ':' .. period, run)
  budget.ends = PERIOD_END[unit]
  asked[i] = budget
  if not budget.held_tokens then
    local fits, also, wait, reset = fit(budget, most_tokens, most_nanos, tokens, nanos, least_tokens, least_nanos)
    if not fits then
      return { 0, also, i, wait, reset }
    end
    tokens, nanos = fits, also
  end
  answer[#answer + 1] = period
  answer[#answer + 1] = budget.spent_tokens
  answer[#answer + 1] = budget.spent_nanos
end

-- Nothing is in the way.
answer[2], answer[3] = tokens, nanos
for i = 1, rates do
  redis.call('RPUSH', KEYS[i], whole(now))
  redis.call('PEXPIRE', KEYS[i], WINDOW + 1000)
end
for i = 1, sets do
  redis.call('ZADD', KEYS[rates + i], whole(expiry), run)
  redis.call('PEXPIRE', KEYS[rates + i], lease + 1000)
end
for _, budget in ipairs(asked) do
  if not budget.held_tokens then
    hold(budget, tokens, nanos)
  end
  write_budget(budget, run, budget.ends, expiry)
end
return answer
