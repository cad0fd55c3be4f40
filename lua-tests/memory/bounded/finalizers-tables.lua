-- at most 24 MiB; the reference takes 5
-- Objects with finalizers, made and dropped: the finalizers keep pace.
local live, most = 0, 0
local C = { __gc = function() live = live - 1 end }
for i = 1, 200000 do
  live = live + 1
  local o = setmetatable({ id = i, buf = {} }, C)
  for k = 1, 5 do o.buf[k] = k .. ":" .. i end
  if live > most then most = live end
end
assert(most < 50000, most)
