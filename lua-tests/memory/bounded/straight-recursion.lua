-- at most 40 MiB; the reference takes 6
-- On the way back from a recursion there is neither a call nor a loop.
local function join(n) if n == 0 then return "" end return join(n - 1) .. "line\n" end
for i = 1, 3 do assert(#join(15000) == 75000) end
