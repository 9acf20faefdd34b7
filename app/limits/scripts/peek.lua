-- How budgets stand, after dead processes have given back what they hold.
-- KEYS: budgets. ARGV: for each 'day' or 'month'.
-- Returns JSON, whose amounts are text: [{period, ends_in (seconds), tokens, nanos spent, reserved_tokens,
--   reserved_nanos}].

local answer = {}
for i = 1, #KEYS do
  local named = period(ARGV[i], '')
  local budget = read_budget(KEYS[i] .. ':' .. named)
  answer[i] = {
    period = named,
    ends_in = period_end(ARGV[i]) - seconds,
    tokens = whole(budget.spent_tokens),
    nanos = whole(budget.spent_nanos),
    reserved_tokens = whole(budget.reserved_tokens),
    reserved_nanos = whole(budget.reserved_nanos),
  }
end
return cjson.encode(answer)
