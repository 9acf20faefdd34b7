-- Record what a run has used and, when it is over, release what it still holds; while it goes on, reserve what its next
-- model call needs. Steps are numbered, and the mark says which are recorded: sent twice, they count once. What is to be
-- held is told as a whole: asked twice, it is reserved once.
-- KEYS: the run's mark, running sets, budgets (with their period, if the run was admitted), usage.
-- ARGV: run, lease in ms or 0 if the run is over, seconds the mark is kept, number of running sets, of budgets,
--   seconds usage is kept (0: none), user, growth; for each budget 'day' or 'month' if its key lacks the period, else '';
--   then for each step: number, model, input, output, cache read, cache write tokens, nanos, tokens that are estimated.
-- The user is a name, or `address:ADDRESS NAME` for a name that anyone may have made up.
-- Growth is '' or words in one text: tokens and nanos to hold then, the least of each, and for each budget 'day' or
--   'month', most tokens, most nanos (-1: no limit).
-- Returns {tokens, nanos counted now, {} or {1, tokens, nanos held now} or {0, 'tokens' or 'usd', place of the budget,
--          ms to wait, ms to reset}; for each budget: spent tokens, spent nanos}.

local MOST_ADDRESSES = 1000 -- a day, whose usage is kept apart
local MOST_FIELDS = 700 -- of an address and day: about a hundred names; all further ones are one
local KINDS = { 'input', 'output', 'cache_read', 'cache_write', 'nanos', 'uncertain' }

local run, lease, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local over = lease == 0
local sets, budgets, usage_seconds = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local address, name = string.match(ARGV[7], '^(%S+) (%S+)$')
local mark = KEYS[1]
local recorded = math.floor(tonumber(redis.call('GET', mark) or 0) / 2)
local last, tokens, nanos = recorded, 0, 0

local function begin_usage(day_key, owner)
  redis.call('EXPIRE', day_key .. ':' .. owner, usage_seconds)
  redis.call('SADD', day_key, owner)
  redis.call('EXPIRE', day_key, usage_seconds)
end

-- The key of the usage to count a call in, and what its fields end with. The call itself is counted.
local function count_call(day_key, model)
  if not address then
    local key = day_key .. ':' .. ARGV[7]
    if redis.call('HINCRBY', key, 'calls ' .. model, 1) == 1 then
      begin_usage(day_key, ARGV[7])
    end
    return key, model
  end
  local key, of = day_key .. ':' .. address, name .. ' ' .. model
  if redis.call('HINCRBY', key, 'calls ' .. of, 1) == 1 then
    local crowded = redis.call('HLEN', key) > MOST_FIELDS
    local strange = redis.call('SISMEMBER', day_key, address) == 0 and redis.call('SCARD', day_key) >= MOST_ADDRESSES
    if crowded or strange then
      redis.call('HDEL', key, 'calls ' .. of)
      local owner = crowded and address or 'address:others'
      key, of = day_key .. ':' .. owner, 'anonymous:anonymous ' .. model
      redis.call('HINCRBY', key, 'calls ' .. of, 1)
      begin_usage(day_key, owner)
    else
      begin_usage(day_key, address)
    end
  end
  return key, of
end

for at = 9 + budgets, #ARGV, 8 do
  local number = tonumber(ARGV[at])
  if number > recorded then
    last = math.max(last, number)
    tokens = tokens + tonumber(ARGV[at + 2]) + tonumber(ARGV[at + 3])
    nanos = nanos + tonumber(ARGV[at + 6])
    if usage_seconds > 0 then
      local key, of = count_call(KEYS[#KEYS] .. ':' .. PERIOD.day, ARGV[at + 1])
      for place, kind in ipairs(KINDS) do
        local count = ARGV[at + 1 + place]
        if count ~= '0' then
          redis.call('HINCRBY', key, kind .. ' ' .. of, count)
        end
      end
    end
  end
end

local settled = {}
for i = 1, budgets do
  local key, unit = KEYS[1 + sets + i], ARGV[8 + i]
  local ends = PERIOD_END[unit == '' and 'month' or unit]
  if unit ~= '' then
    key = key .. ':' .. PERIOD[unit]
  end
  local budget = read_budget(key, run)
  budget.ends = ends
  budget.spent_tokens = budget.spent_tokens + tokens
  budget.spent_nanos = budget.spent_nanos + nanos
  if budget.held_tokens then
    local freed_tokens = over and budget.held_tokens or math.min(tokens, budget.held_tokens)
    local freed_nanos = over and budget.held_nanos or math.min(nanos, budget.held_nanos)
    budget.reserved_tokens = budget.reserved_tokens - freed_tokens
    budget.reserved_nanos = budget.reserved_nanos - freed_nanos
    budget.held_tokens = budget.held_tokens - freed_tokens
    budget.held_nanos = budget.held_nanos - freed_nanos
  end
  settled[i] = budget
end

local growth = {}
if ARGV[8] ~= '' and not over then
  local words = {}
  for word in string.gmatch(ARGV[8], '%S+') do
    words[#words + 1] = tonumber(word) or word
  end
  local wanted_tokens, wanted_nanos, refused = words[1], words[2], false
  for i, budget in ipairs(settled) do
    local ends = budget.ends
    budget.ends = PERIOD_END[words[2 + 3 * i]]
    local fits, also, wait, reset =
      fit(budget, words[3 + 3 * i], words[4 + 3 * i], wanted_tokens, wanted_nanos, words[3], words[4])
    budget.ends = ends
    if not fits then
      refused, growth = true, { 0, also, i, wait, reset }
      break
    end
    wanted_tokens, wanted_nanos = fits, also
  end
  if not refused then
    growth = { 1, wanted_tokens, wanted_nanos }
    for _, budget in ipairs(settled) do
      hold(budget, wanted_tokens, wanted_nanos)
    end
  end
end

local answer = { tokens, nanos, growth }
for _, budget in ipairs(settled) do
  write_budget(budget, run, budget.ends, budget.held_tokens and not over and now + lease or nil)
  answer[#answer + 1] = budget.spent_tokens
  answer[#answer + 1] = budget.spent_nanos
end

if over then
  for i = 1, sets do
    redis.call('ZREM', KEYS[1 + i], run)
  end
end
redis.call('SET', mark, whole(last * 2 + (over and 1 or 0)), 'EX', kept)
return answer
