-- at most 24 MiB
for i = 1, 3000 do
  local f = assert(load("local a = ... return function() return a + " .. i .. " end", "=chunk"))
  assert(f(1)() == 1 + i)
end
