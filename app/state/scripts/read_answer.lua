-- Read an answer, whatever its age. KEYS: the answer, its lead.
-- Returns {'kept', its age (ms), answer} or {'none'}.

local age, answer = kept(KEYS[1])
if age then
  return {'kept', string.format('%.0f', age), answer}
end
return {'none'}
