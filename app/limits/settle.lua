-- Record what a run has used and, when it is over, release what it still holds. Steps are numbered, and the mark says
-- which are recorded: sent twice, they count once.
-- KEYS: the run's mark, running sets, budgets (with their period, if the run was admitted), usage.
-- ARGV: run, lease in ms or 0 if the run is over, seconds the mark is kept, number of running sets, of budgets,
--   seconds usage is kept (0: none), user; for each budget 'day' or 'month' if its key lacks the period, else '';
--   then for each step: number, model, input, output, cache read, cache write tokens, nanos.
-- Returns {tokens, nanos counted now, for each budget: spent tokens, spent nanos}.

local run, lease, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local over = lease == 0
local sets, budgets, usage_seconds, user = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local mark = KEYS[1]
local recorded = math.floor(tonumber(redis.call('GET', mark) or 0) / 2)
local last, tokens, nanos = recorded, 0, 0

for at = 8 + budgets, #ARGV, 7 do
  local number = tonumber(ARGV[at])
  if number > recorded then
    last = math.max(last, number)
    tokens = tokens + tonumber(ARGV[at + 2]) + tonumber(ARGV[at + 3])
    nanos = nanos + tonumber(ARGV[at + 6])
    if usage_seconds > 0 then
      local day_key = KEYS[#KEYS] .. ':' .. PERIOD.day
      local key, model = day_key .. ':' .. user, ARGV[at + 1]
      if redis.call('HINCRBY', key, 'calls ' .. model, 1) == 1 then
        redis.call('EXPIRE', key, usage_seconds)
        redis.call('SADD', day_key, user)
        redis.call('EXPIRE', day_key, usage_seconds)
      end
      for place, name in ipairs({ 'input', 'output', 'cache_read', 'cache_write', 'nanos' }) do
        local count = ARGV[at + 1 + place]
        if count ~= '0' then
          redis.call('HINCRBY', key, name .. ' ' .. model, count)
        end
      end
    end
  end
end

local answer = { tokens, nanos }
for i = 1, budgets do
  local key, unit = KEYS[1 + sets + i], ARGV[7 + i]
  local ends = PERIOD_END[unit == '' and 'month' or unit]
  if unit ~= '' then
    key = key .. ':' .. PERIOD[unit]
  end
  local budget = read_budget(key, run)
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
  write_budget(budget, run, ends, budget.held_tokens and not over and now + lease or nil)
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
