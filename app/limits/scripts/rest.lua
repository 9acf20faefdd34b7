-- What the processes tell each other of one model's limit at its provider. Needs clock.lua.
--
-- A record, which there is only while the limit is nearly reached, is text: ms since the epoch until which the model
-- rests, and why; requests left ('-': not known), and until when that counts: then the provider gives all of them back;
-- 1 while a used-up limit is probed, else 0.

local KEPT = 60000 -- ms after the last of these times
local PROBE = 500 -- ms between requests after a limit was used up, until a header tells how many there are again
local RECORD = '^(%d+) (%S+) (%S+) (%d+) (%d)$'
local NEWS = '^(%d+) (%S+) (%-?%d+) (%d+) (%d+)$'

local function read_rest(key)
  local text = redis.call('GET', key)
  if not text then
    return nil
  end
  local ends, reason, left, resets, probes = string.match(text, RECORD)
  return { ends = tonumber(ends), reason = reason, left = tonumber(left), resets = tonumber(resets), probes = probes == '1' }
end

local function write_rest(key, rest)
  local left = rest.left and whole(rest.left) or '-'
  local text = { whole(rest.ends), rest.reason, left, whole(rest.resets), rest.probes and '1' or '0' }
  redis.call('SET', key, table.concat(text, ' '), 'PX', whole(math.max(rest.ends, rest.resets, now) - now + KEPT))
end

-- Take in what a process tells: ms the model rests, and why; requests left (-1: not told), ms until their reset; how
-- many requests were admitted and not made. Within the time of one limit, the least that anybody was told counts: what
-- was told later may have been asked earlier.
local function learn_rest(key, news)
  local ms, reason, left, resets, unmade = string.match(news, NEWS)
  ms, left, resets, unmade = tonumber(ms), tonumber(left), now + resets, tonumber(unmade)
  local rest = read_rest(key)
  if not rest and ms == 0 and left < 0 then
    return
  end
  rest = rest or { ends = 0, reason = reason, resets = 0 }
  if now + ms > math.max(rest.ends, now) then
    rest.ends, rest.reason = now + ms, reason
  end
  if rest.left then
    rest.left = rest.left + unmade
  end
  if left >= 0 then
    if not rest.left or rest.resets <= now or rest.probes then
      rest.left, rest.resets, rest.probes = left, resets, false
    else
      rest.left = math.min(rest.left, left)
      rest.resets = left == 0 and math.max(rest.resets, resets) or rest.resets
    end
  end
  write_rest(key, rest)
end

-- Admit one request to the model, if any are left. Returns {wait_ms, reason} where none are, {wait_ms: 0} where one was
-- counted, and nil where nothing is known.
local function claim_rest(key)
  local rest = read_rest(key)
  if not rest then
    return nil
  end
  if rest.ends > now then
    return { wait_ms = rest.ends - now, reason = rest.reason }
  end
  if not rest.left then
    return nil
  end
  if rest.resets <= now then
    if rest.left > 0 then
      return nil
    end
    rest.left, rest.resets, rest.probes = 1, now + PROBE, true
  end
  if rest.left == 0 then
    return { wait_ms = rest.resets - now, reason = 'used_up' }
  end
  rest.left = rest.left - 1
  write_rest(key, rest)
  return { wait_ms = 0 }
end
