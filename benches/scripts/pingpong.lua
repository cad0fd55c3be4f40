-- Two coroutines passing a value back and forth through resume and yield.
local n = tonumber(arg and arg[1]) or 2800000
local yield, resume = coroutine.yield, coroutine.resume
local function player(step)
  return coroutine.create(function(v)
    while true do v = yield(v + step) end
  end)
end
local ping, pong = player(1), player(2)
local v, _ = 0, nil
for _ = 1, n do
  _, v = resume(ping, v)
  _, v = resume(pong, v)
end
print(v)
