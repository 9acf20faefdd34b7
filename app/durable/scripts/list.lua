-- An owner's runs, newest first.
-- KEYS: the owner's runs. ARGV: session or '', status or '', the time (µs) and the run after which the page begins (''
--   and '': the first), the most runs.
-- Returns names and values: runs: [[names and values of a record]], next: the time and the run after which the next page
--   begins, or nothing.

local shelf, session, status = KEYS[1], ARGV[1], ARGV[2]

local runs, after = newest_first(shelf, ARGV[3], ARGV[4], tonumber(ARGV[5]), function(id)
  local record = redis.call('HMGET', run_key(id), 'status', 'session')
  if not record[1] then
    redis.call('ZREM', shelf, id)
    redis.call('ZREM', shelf .. '|over', id)
  elseif (session == '' or record[2] == session) and (status == '' or record[1] == status) then
    return redis.call('HGETALL', run_key(id))
  end
end)
return { 'runs', runs, 'next', after }
