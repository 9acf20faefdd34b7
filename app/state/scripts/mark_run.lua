-- Add marks to a run, each in the place of an earlier one of its kind.
-- KEYS: the run. ARGV: the marks, as JSON.
-- Returns the run as it was and as it is, in JSON; nil if there is none.

local kept = redis.call('GET', KEYS[1])
if not kept then
  return false
end
local run = cjson.decode(kept)
for kind, mark in pairs(cjson.decode(ARGV[1])) do
  run[kind] = mark
end
run.was_escalated = run.was_escalated or run.escalated or nil
local marked = cjson.encode(run)
redis.call('SET', KEYS[1], marked, 'KEEPTTL')
return { kept, marked }
