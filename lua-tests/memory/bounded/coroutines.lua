-- at most 24 MiB; the reference takes 3
for i = 1, 100000 do
  local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return b end)
  co(i)
  if i % 2 == 0 then co(i) end
end
