-- at most 24 MiB; the reference takes 3
-- Finalizers that make their object wait for another one.
local C = {}
local turns = 0
C.__gc = function(o)
  o.n = o.n + 1
  turns = turns + 1
  if o.n < 3 then setmetatable(o, C) end
end
for i = 1, 60000 do setmetatable({ n = 0 }, C) end
assert(turns > 10000, turns)
