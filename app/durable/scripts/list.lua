-- An owner's runs, newest first.
-- KEYS: the owner's runs. ARGV: session or '', status or '', the time (µs) and the run after which the page begins (''
--   and '': the first), the most runs.
-- Returns names and values: runs: [[names and values of a record]], next: the time and the run after which the next page
--   begins, or nothing.

local MOST_LOOKED_AT = 1000 -- a call: a page may have fewer runs than there are
local shelf, session, status, last, most = KEYS[1], ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
local runs, after, looked_at = {}, {}, 0
local index = redis.call('ZREVRANGEBYSCORE', shelf, ARGV[3] == '' and '+inf' or ARGV[3], '-inf', 'WITHSCORES',
  'LIMIT', 0, MOST_LOOKED_AT)

for at = 1, #index, 2 do
  local id, created = index[at], index[at + 1]
  looked_at = looked_at + 1
  if created ~= ARGV[3] or id < last then -- those of one time are in the order of their ids
    local record = redis.call('HMGET', run_key(id), 'status', 'session')
    if not record[1] then
      redis.call('ZREM', shelf, id)
      redis.call('ZREM', shelf .. '|over', id)
    elseif (session == '' or record[2] == session) and (status == '' or record[1] == status) then
      runs[#runs + 1] = redis.call('HGETALL', run_key(id))
    end
    if #runs == most or looked_at == MOST_LOOKED_AT then
      after = at + 1 < #index and { created, id } or looked_at == MOST_LOOKED_AT and { created, id } or {}
      break
    end
  end
end
return { 'runs', runs, 'next', after }
