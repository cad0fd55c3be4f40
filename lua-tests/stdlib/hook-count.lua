-- `debug.gethook` answers the count that was given, whatever it means.
local function hook() end
for _, given in ipairs {
  { "c", 0 }, { "c", 5 }, { "c", -5 }, { "c", 2 ^ 31 | 0 }, { "c", math.mininteger },
  { "", 7 }, { "", 0 }, { "", -1 }, { "crl", 1 << 40 }, { "l" },
} do
  debug.sethook(hook, given[1], given[2])
  local f, mask, count = debug.gethook()
  debug.sethook()
  print(given[1], given[2], f == hook, mask, count)
end
print(debug.gethook())
local co = coroutine.create(function() coroutine.yield() end)
debug.sethook(co, hook, "l", -3)
print(select(2, debug.gethook(co)))
print(debug.gethook())
