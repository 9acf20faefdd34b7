-- Record what a run has used and, when it is over, release what it still holds; while it goes on, reserve what its next
-- model call needs. Steps are numbered, and the mark says which are recorded: sent twice, they count once. What is to be
-- held is told as a whole: asked twice, it is reserved once.
-- KEYS: the run's mark, running sets, budgets (the period is added here), usage; with news, the model's rest.
-- ARGV: run, lease in ms or 0 if the run is over, seconds the mark is kept, number of running sets, seconds usage is kept
--   (0: none), user, the day the run was admitted or '', units ('day' or 'month' of each budget, with a space between,
--   and '+' behind those that the user shares with others), growth; news of the model's rest or ''; then for each step:
--   number, model, input, output, cache read, cache write tokens, nanos, tokens that are estimated; tokens and nanos that
--   shared budgets are charged.
-- Growth is '' or words in one text: tokens and nanos to hold then, the minimum of each, and for each budget the limit of
--   tokens, the limit of nanos (-1: no limit).
-- Returns JSON, whose amounts are text: {tokens, nanos counted now, shared_tokens, shared_nanos counted in shared budgets
--   where that is less, budgets: [{tokens, nanos spent}]} without what is empty; with growth also {held_tokens, held_nanos}, or {refusal: {by, place of the budget, wait_ms, resets_ms}}.

local run, lease, of_day, user = ARGV[1], tonumber(ARGV[2]), ARGV[7], ARGV[6]
local over = lease == 0
local sets, usage_seconds = tonumber(ARGV[4]), tonumber(ARGV[5])
local mark = KEYS[1]
local recorded = redis.call('GET', mark) or 0
recorded = (recorded - recorded % 2) / 2
local last, tokens, nanos, shared_tokens, shared_nanos = recorded, 0, 0, 0, 0
local news = ARGV[10]
local usage_key = KEYS[news == '' and #KEYS or #KEYS - 1]

for at = 11, #ARGV, 10 do
  local number = tonumber(ARGV[at])
  if number > recorded then
    last = math.max(last, number)
    tokens = tokens + ARGV[at + 2] + ARGV[at + 3]
    nanos = nanos + ARGV[at + 6]
    shared_tokens = shared_tokens + ARGV[at + 8]
    shared_nanos = shared_nanos + ARGV[at + 9]
    if usage_seconds > 0 then
      count_call(usage_key .. ':' .. date(), user, at + 1, usage_seconds)
    end
  end
end

local settled = {}
for unit, shared in string.gmatch(ARGV[8], '(%a+)(%+?)') do
  local budget = read_budget(KEYS[2 + sets + #settled] .. ':' .. period(unit, of_day), run)
  budget.ends = period_end(unit)
  budget.spent_tokens = budget.spent_tokens + (shared == '' and tokens or shared_tokens)
  budget.spent_nanos = budget.spent_nanos + (shared == '' and nanos or shared_nanos)
  if budget.held_tokens then
    local freed_tokens = over and budget.held_tokens or math.min(tokens, budget.held_tokens)
    local freed_nanos = over and budget.held_nanos or math.min(nanos, budget.held_nanos)
    budget.reserved_tokens = budget.reserved_tokens - freed_tokens
    budget.reserved_nanos = budget.reserved_nanos - freed_nanos
    budget.held_tokens = budget.held_tokens - freed_tokens
    budget.held_nanos = budget.held_nanos - freed_nanos
  end
  settled[#settled + 1] = budget
end

local answer = {}

-- Let the run hold in each budget what `words` say, or in none.
local function grow(words)
  local wanted_tokens, wanted_nanos = words[1], words[2]
  for i, budget in ipairs(settled) do
    local fits, also, wait, resets =
      fit(budget, words[3 + 2 * i], words[4 + 2 * i], wanted_tokens, wanted_nanos, words[3], words[4])
    if not fits then
      answer.refusal = { by = also, place = i - 1, wait_ms = wait, resets_ms = resets }
      return
    end
    wanted_tokens, wanted_nanos = fits, also
  end
  for _, budget in ipairs(settled) do
    hold(budget, wanted_tokens, wanted_nanos)
  end
  answer.held_tokens, answer.held_nanos = whole(wanted_tokens), whole(wanted_nanos)
end

if news ~= '' then
  learn_rest(KEYS[#KEYS], news)
end

if ARGV[9] ~= '' and not over then
  local words = {}
  for word in string.gmatch(ARGV[9], '%S+') do
    words[#words + 1] = tonumber(word)
  end
  grow(words)
end

for i, budget in ipairs(settled) do
  settled[i] = write_budget(budget, run, budget.ends, budget.held_tokens and not over and now + lease or nil)
end
if over then
  for i = 1, sets do
    redis.call('ZREM', KEYS[1 + i], run)
  end
end
redis.call('SET', mark, whole(last * 2 + (over and 1 or 0)), 'EX', ARGV[3])
if #settled == 0 then
  return '{}'
end
answer.tokens, answer.nanos, answer.budgets = whole(tokens), whole(nanos), settled
if shared_tokens ~= tokens or shared_nanos ~= nanos then
  answer.shared_tokens, answer.shared_nanos = whole(shared_tokens), whole(shared_nanos)
end
return cjson.encode(answer)
