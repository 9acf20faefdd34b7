-- Record what a run has used and, when it is over, release what it still holds. Steps are numbered, and the mark says
-- which are recorded: sent twice, they count once.
-- KEYS: the run's mark, running sets, budgets (with their period, if the run was admitted), usage.
-- ARGV: run, '1' if over, seconds the mark is kept, number of running sets, of budgets, seconds usage is kept (0: none),
--   user; for each budget 'day' or 'month' if its key lacks the period, else '';
--   then for each step: number, model, input, output, cache read, cache write tokens, nanos.
-- Returns {tokens, nanos counted now, for each budget: spent tokens, spent nanos}.

local run, over, kept = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
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
      local counts = { calls = 1, input = ARGV[at + 2], output = ARGV[at + 3], cache_read = ARGV[at + 4],
        cache_write = ARGV[at + 5], nanos = ARGV[at + 6] }
      for name, count in pairs(counts) do
        if tonumber(count) > 0 then
          redis.call('HINCRBY', key, name .. ' ' .. model, count)
        end
      end
      redis.call('EXPIRE', key, usage_seconds)
      redis.call('SADD', day_key, user)
      redis.call('EXPIRE', day_key, usage_seconds)
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
  if tokens > 0 or nanos > 0 then
    redis.call('HINCRBY', key, 'st', whole(tokens))
    redis.call('HINCRBY', key, 'sc', whole(nanos))
  end
  local held_tokens, held_nanos = held_by(key, run)
  if held_tokens and over then
    release(key, run, held_tokens, held_nanos)
  elseif held_tokens then
    local used_tokens, used_nanos = math.min(tokens, held_tokens), math.min(nanos, held_nanos)
    redis.call('HINCRBY', key, 'rt', whole(-used_tokens))
    redis.call('HINCRBY', key, 'rc', whole(-used_nanos))
    redis.call('HSET', key, 'run:' .. run, whole(held_tokens - used_tokens) .. ':' .. whole(held_nanos - used_nanos))
  end
  if redis.call('TTL', key) == -1 then -- made here, for a run that was not admitted by this server
    redis.call('EXPIREAT', key, ends + KEPT_SECONDS)
  end
  local spent_tokens, spent_nanos = balance(key)
  answer[#answer + 1] = spent_tokens
  answer[#answer + 1] = spent_nanos
end

if over then
  for i = 1, sets do
    redis.call('ZREM', KEYS[1 + i], run)
  end
end
redis.call('SET', mark, whole(last * 2 + (over and 1 or 0)), 'EX', kept)
return answer
