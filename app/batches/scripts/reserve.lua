-- Reserve for a portion, once: what is reserved is kept with the batch in the same write.
-- KEYS: batch, portions; then those of admit.lua. ARGV: claim, the portion's field; then those of admit.lua.
-- Returns what admit.lua does, or {taken: true} for a claim that does not hold any more.

if redis.call('HGET', KEYS[1], 'claims') ~= ARGV[1] then
  return '{"taken":true}'
end
local known = redis.call('HGET', KEYS[2], ARGV[2])
if known then
  return known
end
local reply = #KEYS > 2 and admit({ unpack(KEYS, 3) }, { unpack(ARGV, 3) }) or '{}' -- without budgets there is nothing
if not string.find(reply, '"refusal"', 1, true) then
  redis.call('HSET', KEYS[2], ARGV[2], reply)
end
return reply
