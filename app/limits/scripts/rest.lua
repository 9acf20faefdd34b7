-- What the processes tell each other of one model's limit at its provider. Needs clock.lua.
--
-- A record, which there is only while the limit is nearly reached, is text: ms since the epoch until which the model
-- rests, and why; requests left ('-': not known), of how many (0: not known), and until when that counts; then how that
-- is known: 'told' by a header, 'probing' a limit that was used up, or 'assumed' to be all of it after its reset.

local KEPT = 60000 -- ms after the last of these times, if there is no more news
local PROBE = 500 -- ms between requests after a limit was used up, until a header tells how many there are again
local ASSUMED = 60000 -- ms
local SMALL = 100 -- of limits up to here each header is news
local RECORD = '^(%d+) (%S+) (%S+) (%d+) (%d+) (%S+)$'
local NEWS = '^(%d+) (%S+) (%-?%d+) (%d+) (%d+) (%d+)$'

local function read_rest(key)
  local text = redis.call('GET', key)
  if not text then
    return nil
  end
  local ends, reason, left, limit, resets, known = string.match(text, RECORD)
  return { ends = tonumber(ends), reason = reason, left = tonumber(left), limit = tonumber(limit),
    resets = tonumber(resets), known = known }
end

-- `news`: whether it is kept for longer.
local function write_rest(key, rest, news)
  local left = rest.left and whole(rest.left) or '-'
  local words = { whole(rest.ends), rest.reason, left, whole(rest.limit), whole(rest.resets), rest.known }
  local text = table.concat(words, ' ')
  if news then
    redis.call('SET', key, text, 'PX', whole(math.max(rest.ends, rest.resets, now) - now + KEPT))
  else
    redis.call('SET', key, text, 'KEEPTTL')
  end
end

-- Take in what a process tells: ms the model rests, and why; requests left (-1: not told), of how many, ms until their
-- reset; how many requests were admitted and not made. Until a reset, the least that anybody was told counts: what was
-- told later may have been asked earlier.
local function learn_rest(key, news)
  local ms, reason, left, limit, resets, unmade = string.match(news, NEWS)
  ms, left, resets = tonumber(ms), tonumber(left), now + resets
  local rest = read_rest(key)
  if not rest and ms == 0 and left < 0 then
    return
  end
  rest = rest or { ends = 0, reason = reason, limit = 0, resets = 0, known = 'told' }
  if ms > 0 and now + ms > rest.ends then
    rest.ends, rest.reason = now + ms, reason
  end
  if rest.left then
    rest.left = rest.left + unmade
  end
  if left >= 0 then
    local counts = rest.left and rest.resets > now
    if counts and rest.known ~= 'probing' then
      left = math.min(rest.left, left)
    end
    if counts and rest.known == 'told' then
      resets = left == 0 and math.max(rest.resets, resets) or rest.resets
    end
    rest.left, rest.limit, rest.resets, rest.known = left, tonumber(limit), resets, 'told'
  end
  write_rest(key, rest, ms > 0 or left >= 0)
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
    if rest.left == 0 then
      rest.left, rest.resets, rest.known = 1, now + PROBE, 'probing'
    elseif rest.limit > 0 and rest.limit <= SMALL then
      rest.left, rest.resets, rest.known = rest.limit, now + ASSUMED, 'assumed'
    else
      return nil
    end
  end
  if rest.left == 0 then
    return { wait_ms = rest.resets - now, reason = 'used_up' }
  end
  rest.left = rest.left - 1
  write_rest(key, rest, false)
  return { wait_ms = 0 }
end
