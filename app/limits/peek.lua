-- What budgets stand at, after dead processes have given back what they hold.
-- KEYS: budgets. ARGV: for each 'day' or 'month'.
-- Returns for each: period, seconds until it ends, spent tokens, spent nanos, reserved tokens, reserved nanos.

local answer = {}
for i = 1, #KEYS do
  local unit = ARGV[i]
  local key = KEYS[i] .. ':' .. PERIOD[unit]
  release_dead(key)
  local spent_tokens, spent_nanos, reserved_tokens, reserved_nanos = balance(key)
  for _, value in ipairs({
    PERIOD[unit], PERIOD_END[unit] - seconds, spent_tokens, spent_nanos, reserved_tokens, reserved_nanos,
  }) do
    answer[#answer + 1] = value
  end
end
return answer
