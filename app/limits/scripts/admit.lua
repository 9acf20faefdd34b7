-- Admit a run, all of it or nothing; as a renewal, keep what an admitted run holds; or resume it in another process, also
-- after it was settled as if it were over.
-- KEYS: rates, running sets, budgets (the period is added here); last the model's rest, of an admission that has one,
--   or the run's settlement mark, of a renewal.
-- ARGV: run, 'admit', 'renew' or 'resume', terms; tokens and nanos to reserve, and the minimum of each that the run can begin
--   with where a budget is short (see `share`); the day the run was admitted, if known; news of the model's rest.
-- Terms are words in one text, which is the same for many runs: lease in ms, number of rates, of running sets, of
--   budgets; a limit for each rate; one for each running set; for each budget 'day' or 'month', limit of tokens, limit of
--   nanos (-1: no limit).
-- Returns JSON, whose amounts are text: {day, tokens, nanos held, rates: [{left, resets_ms}], running: [places left],
--   budgets: [{tokens, nanos spent}], rest: see `claim_rest`} without what is empty; or {refusal: see `refuse`}.

local WINDOW = 60000 -- ms
local MOST_DROPPED = 500 -- old entries of one rate, at a time; the others wait for the next admission

local terms = {}
for word in string.gmatch(ARGV[3], '%S+') do
  terms[#terms + 1] = tonumber(word) or word
end

local run, renewal, of_day = ARGV[1], ARGV[2] ~= 'admit', ARGV[8]
local lease, rates, sets, budgets = terms[1], terms[2], terms[3], terms[4]
local limits = 4 -- what the terms have before the limits
local tokens, nanos = tonumber(ARGV[4]), tonumber(ARGV[5])
local least_tokens, least_nanos = tonumber(ARGV[6]), tonumber(ARGV[7])
local expiry = now + lease
local answer = {}
local rest_key = not renewal and KEYS[rates + sets + budgets + 1]
if ARGV[9] ~= '' then
  learn_rest(rest_key, ARGV[9])
end

local function refuse(by, place, wait, resets)
  return cjson.encode({ refusal = { by = by, place = place - 1, wait_ms = wait, resets_ms = resets } })
end

if renewal then
  local mark = redis.call('GET', KEYS[#KEYS])
  if mark and mark % 2 == 1 then
    if ARGV[2] == 'renew' then
      return cjson.encode({ ended = true })
    end
    redis.call('SET', KEYS[#KEYS], whole(mark - 1), 'EX', 3600)
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
      return refuse('rate', i, leaves - now)
    end
    count = limit - 1
  end
  answer.rates = answer.rates or {}
  answer.rates[i] = { left = limit - count - 1, resets_ms = (oldest or now) + WINDOW - now }
end

for i = 1, sets do
  local key, limit = KEYS[rates + i], terms[limits + rates + i]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  local count = redis.call('ZCARD', key)
  if not renewal then
    if count >= limit and not redis.call('ZSCORE', key, run) then
      return refuse('running', i, 1000)
    end
    answer.running = answer.running or {}
    answer.running[i] = math.max(limit - count - 1, 0)
  end
end

local asked = {}
for i = 1, budgets do
  local at = limits + rates + sets + (i - 1) * 3
  local unit, most_tokens, most_nanos = terms[at + 1], terms[at + 2], terms[at + 3]
  local budget = read_budget(KEYS[rates + sets + i] .. ':' .. period(unit, of_day), run)
  budget.ends = period_end(unit)
  asked[i] = budget
  if not budget.held_tokens then
    local fits, also, wait, resets = fit(budget, most_tokens, most_nanos, tokens, nanos, least_tokens, least_nanos)
    if not fits then
      return refuse(also, i, wait, resets)
    end
    tokens, nanos = fits, also
  end
end

-- Nothing is in the way.
if rest_key then
  answer.rest = claim_rest(rest_key)
end
for i = 1, rates do
  redis.call('RPUSH', KEYS[i], whole(now))
  redis.call('PEXPIRE', KEYS[i], WINDOW + 1000)
end
for i = 1, sets do
  redis.call('ZADD', KEYS[rates + i], whole(expiry), run)
  redis.call('PEXPIRE', KEYS[rates + i], lease + 1000)
end
local held_tokens, held_nanos = math.huge, math.huge
for i, budget in ipairs(asked) do
  if not budget.held_tokens then
    hold(budget, tokens, nanos)
  end
  held_tokens, held_nanos = math.min(held_tokens, budget.held_tokens), math.min(held_nanos, budget.held_nanos)
  asked[i] = write_budget(budget, run, budget.ends, expiry)
end
if budgets > 0 then
  answer.tokens, answer.nanos, answer.budgets = whole(held_tokens), whole(held_nanos), asked
  answer.day = of_day ~= '' and of_day or date()
end
return cjson.encode(answer)
