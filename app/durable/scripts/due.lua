-- Runs that are not over, whose time has come, and that no living worker has: first those that a worker had and lost,
-- since it died or has handed them back.
-- ARGV: the most of each kind, '1' for those alone or ''.
-- Returns names and values: due: [runs], ending: [runs of which a claim makes an end].

local due, ending = {}, {}

local function look(index, lapsed)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', whole(now), 'LIMIT', 0, ARGV[1])) do
    local fields = redis.call('HMGET', run_key(id), 'status', 'since', 'line', 'cancelling', 'crashes', 'until')
    local status, since, line, cancelling = fields[1], tonumber(fields[2] or 0), fields[3], fields[4] == '1'
    local waits_until = status == 'waiting' and tonumber(fields[6])
    local idle_since = status == 'running' and lease_end(id) or since
    local overdue = now > (waits_until or idle_since + bounds.queue)
    if not status or OVER[status] or (not lapsed and status == 'running') then
      redis.call('ZREM', index, id)
    elseif cancelling or overdue or (status == 'running' and fields[5] + 1 >= bounds.crashes) then
      ending[#ending + 1] = id
    elseif waits_until then
      redis.call('ZADD', index, whole(waits_until + 1), id)
    elseif not lapsed and line ~= '' and first_of(line) ~= id then
      redis.call('ZADD', index, whole(since + bounds.queue), id)
    else
      due[#due + 1] = id
    end
  end
end

look(LEASES, true)
if ARGV[2] == '' then
  look(DUE, false)
  look(DUE_LATER, false)
end
return { 'due', due, 'ending', ending }
