-- Keep runs for another lease.
-- KEYS: records. ARGV: for each the run and the claim's number.
-- Returns for each 'gone', 'held' or 'cancelling'.

local answers = {}
for i = 1, #KEYS do
  local id, claim = ARGV[2 * i - 1], ARGV[2 * i]
  local fields = redis.call('HMGET', KEYS[i], 'claim', 'status', 'cancelling')
  if fields[1] == claim and fields[2] == 'running' then
    redis.call('ZADD', LEASES, whole(now + bounds.lease), id)
    answers[i] = fields[3] == '1' and 'cancelling' or 'held'
  else
    answers[i] = 'gone'
  end
end
return answers
