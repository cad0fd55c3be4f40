-- 100,000 suspended coroutines.
local all = {}
for i = 1, 100000 do
  local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return a + b end)
  assert(co(i) == i)
  all[i] = co
end
assert(all[5](1) == 6)
