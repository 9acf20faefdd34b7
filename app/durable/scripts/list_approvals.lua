-- Approvals, newest first.
-- KEYS: a list. ARGV: status or '', the time (µs) and the approval after which the page begins ('' and '': the first), the
--   most approvals.
-- Returns names and values: approvals: [[names and values]], next: the time and the approval after which the next page
--   begins, or nothing.

local MOST_LOOKED_AT = 1000 -- a call: a page may have fewer approvals than there are
local list, status, last, most = KEYS[1], ARGV[1], ARGV[3], tonumber(ARGV[4])
local found, after, looked_at = {}, {}, 0
local index = redis.call('ZREVRANGEBYSCORE', list, ARGV[2] == '' and '+inf' or ARGV[2], '-inf', 'WITHSCORES',
  'LIMIT', 0, MOST_LOOKED_AT)

for at = 1, #index, 2 do
  local id, created = index[at], index[at + 1]
  looked_at = looked_at + 1
  if created ~= ARGV[2] or id < last then -- those of one time are in the order of their ids
    local has = redis.call('HGET', approval_key(id), 'status')
    if not has then
      redis.call('ZREM', list, id)
    elseif status == '' or has == status then
      found[#found + 1] = redis.call('HGETALL', approval_key(id))
    end
    if #found == most or looked_at == MOST_LOOKED_AT then
      after = (at + 1 < #index or looked_at == MOST_LOOKED_AT) and { created, id } or {}
      break
    end
  end
end
return { 'approvals', found, 'next', after }
