-- at most 40 MiB; the reference takes 8
-- What waits for its finalizer is large: a backlog is a backlog of memory.
local C = { __gc = function(o) o.text = nil end }
for i = 1, 20000 do
  setmetatable({ text = ("x"):rep(10000) .. i }, C)
end
