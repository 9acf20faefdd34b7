-- Change a batch that its claim still holds for: fields, portions, results and their settlement, in one write.
-- KEYS: batch, results, portions, due, inputs; then those of settle.lua, where something is to be settled.
-- ARGV: id, claim; what is next: 'keep' and the lease in ms, 'wait' and the ms until the next step, or 'over' and the
--   seconds that the batch is kept; then counted lists: the batch's fields and values ('' removes one), those of portions,
--   results (place, outcome, JSON, and what it used: '' or words in one text, the model, input, output, cache read, cache
--   write tokens, nanos); last those of settle.lua without steps, which are the results that are new.
-- Returns JSON: {cancelling, new: [places of results that were not there], settlement: text}, or {taken: true}.

local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

local id, claim, next_is, delay = take(), take(), take(), take()
if redis.call('HGET', KEYS[1], 'claims') ~= claim then
  return '{"taken":true}'
end

local function set_fields(key)
  for _ = 1, tonumber(take()) do
    local field, value = take(), take()
    if value == '' then
      redis.call('HDEL', key, field)
    else
      redis.call('HSET', key, field, value)
    end
  end
end
local unchanged = at
set_fields(KEYS[1])
set_fields(KEYS[3])

local new, steps = {}, {}
for _ = 1, tonumber(take()) do
  local place, outcome, result, used = take(), take(), take(), take()
  if redis.call('HSETNX', KEYS[2], place, result) == 1 then
    redis.call('HINCRBY', KEYS[1], outcome, 1)
    new[#new + 1] = tonumber(place)
    if used ~= '' then
      local words = {}
      for word in string.gmatch(used, '%S+') do
        words[#words + 1] = word
      end
      steps[#steps + 1] = words
      for kind, name in ipairs({ 'input', 'output', 'cache_read', 'cache_write', 'nanos' }) do
        if words[kind + 1] ~= '0' then
          redis.call('HINCRBY', KEYS[1], name, words[kind + 1])
        end
      end
    end
  end
end

local settlement = '{}'
local most = tonumber(take())
if most > 0 then
  local keys, arguments = { unpack(KEYS, 6) }, {}
  for _ = 1, most do
    arguments[#arguments + 1] = take()
  end
  local mark = redis.call('GET', keys[1]) or 0
  local recorded = (mark - mark % 2) / 2
  for number, words in ipairs(steps) do
    local tokens = whole(words[2] + words[3])
    for _, word in ipairs({ whole(recorded + number), words[1], words[2], words[3], words[4], words[5], words[6], '0',
      tokens, words[6] }) do
      arguments[#arguments + 1] = word
    end
  end
  settlement = settle(keys, arguments)
end

if next_is == 'keep' then
  redis.call('ZADD', KEYS[4], whole(now + delay), id)
  if at > unchanged + 4 then -- more than four counts of 0: it gets on
    redis.call('HDEL', KEYS[1], 'tries')
  end
else
  redis.call('HDEL', KEYS[1], 'leased', 'tries')
  if next_is == 'wait' then
    redis.call('ZADD', KEYS[4], whole(now + delay), id)
  else
    redis.call('HSET', KEYS[1], 'ended_at', string.format('%.3f', now / 1000))
    redis.call('ZREM', KEYS[4], id)
    for place = 1, 5 do
      if place ~= 4 then
        redis.call('EXPIRE', KEYS[place], delay)
      end
    end
    if not redis.call('HGET', KEYS[1], 'rest_outcome') then
      redis.call('UNLINK', KEYS[5]) -- every input has a result of its own
    end
  end
end
local cancelling = redis.call('HGET', KEYS[1], 'status') == 'cancelling'
return cjson.encode({ cancelling = cancelling, new = #new > 0 and new or nil, settlement = settlement })
