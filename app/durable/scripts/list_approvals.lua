-- Approvals, newest first.
-- KEYS: a list. ARGV: status or '', the time (µs) and the approval after which the page begins ('' and '': the first), the
--   most approvals.
-- Returns names and values: approvals: [[names and values]], next: the time and the approval after which the next page
--   begins, or nothing.

local list, status = KEYS[1], ARGV[1]

local found, after = newest_first(list, ARGV[2], ARGV[3], tonumber(ARGV[4]), function(id)
  local has = redis.call('HGET', approval_key(id), 'status')
  if not has then
    redis.call('ZREM', list, id)
  elseif status == '' or has == status then
    return redis.call('HGETALL', approval_key(id))
  end
end)
return { 'approvals', found, 'next', after }
