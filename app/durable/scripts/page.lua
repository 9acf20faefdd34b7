-- A page of an index of ids by time (µs), newest first.

local MOST_LOOKED_AT = 1000 -- a call: a page may have fewer rows than there are

-- The rows behind this time and id ('' and '': the first), at most so many, and the time and id after which the next page
-- begins, or nothing. `row_of(id)` is the row; nil: the page does not have it.
local function newest_first(index, time, last, most, row_of)
  local rows, after, looked_at = {}, {}, 0
  local found = redis.call('ZREVRANGEBYSCORE', index, time == '' and '+inf' or time, '-inf', 'WITHSCORES',
    'LIMIT', 0, MOST_LOOKED_AT)
  for at = 1, #found, 2 do
    local id, created = found[at], found[at + 1]
    looked_at = looked_at + 1
    if created ~= time or id < last then -- those of one time are in the order of their ids
      rows[#rows + 1] = row_of(id)
      if #rows == most or looked_at == MOST_LOOKED_AT then
        after = (at + 1 < #found or looked_at == MOST_LOOKED_AT) and { created, id } or {}
        break
      end
    end
  end
  return rows, after
end
