-- Append records of one writer that follow each other: all or none.
-- KEYS: the stream, the writers' ends.
-- ARGV: the writer, the sequence number of the first record, when the last was sealed (ms), by how much that may differ
-- from the server's clock (ms), '1' if records before them may be missing, the seconds that the keys live without a
-- head; then each record and its hash.
-- Returns what came of it, the server's clock (ms), and the writer's last sequence number and hash before:
-- 'added', 'there' (all of them were), 'clock' (sealed at another time), 'gap' (records before are missing), 'fork'.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = redis.call('HGET', KEYS[2], ARGV[1])
local last, hash = '0', ''
if ends then
  last, hash = string.match(ends, '^(%d+) (%x+)$')
end
local first, count = tonumber(ARGV[2]), (#ARGV - 6) / 2

local function reply(outcome)
  return { outcome, string.format('%.0f', now), last, hash }
end

if tonumber(last) == first + count - 1 and hash == ARGV[#ARGV] then
  return reply('there')
end
if tonumber(last) >= first then
  return reply('fork')
end
if tonumber(last) < first - 1 and ARGV[5] ~= '1' then
  return reply('gap')
end
if math.abs(now - tonumber(ARGV[3])) > tonumber(ARGV[4]) then
  return reply('clock')
end
for at = 7, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'r', ARGV[at], 'h', ARGV[at + 1])
end
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f %s', first + count - 1, ARGV[#ARGV]))
if redis.call('TTL', KEYS[1]) < ARGV[6] / 2 then
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
return reply('added')
