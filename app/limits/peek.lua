-- What budgets stand at, after dead processes have given back what they hold.
-- KEYS: budgets. ARGV: for each 'day' or 'month'.
-- Returns for each: period, seconds until it ends, spent tokens, spent nanos, reserved tokens, reserved nanos.

local answer = {}
for i = 1, #KEYS do
  local unit = ARGV[i]
  local key = KEYS[i] .. ':' .. PERIOD[unit]
  local budget = read_budget(key)
  for _, value in ipairs({
    PERIOD[unit],
    PERIOD_END[unit] - seconds,
    budget.spent_tokens,
    budget.spent_nanos,
    budget.reserved_tokens,
    budget.reserved_nanos,
  }) do
    answer[#answer + 1] = value
  end
end
return answer
