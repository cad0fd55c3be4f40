-- Runs a program of this folder that wants all the memory there is: it must fail
-- with "not enough memory" (or, where the program says so, another error), and
-- everything must work afterwards. Prints the peak of the process.
local name = ...
local body, expected = assert(loadfile(name))()
local function status(key)
  local f = assert(io.open("/proc/self/status"))
  local text = f:read("a")
  f:close()
  return tonumber(text:match(key .. ":%s*(%d+)"))
end
if body then
  for round = 1, 2 do
    local ok, message = pcall(body)
    assert(not ok, "it ended: " .. tostring(message))
    message = tostring(message)
    if message:find("^coroutine: ") then message = message:sub(12) end
    assert(message == "not enough memory" or expected and message:find(expected), message)
  end
  -- the VM is as good as new
  collectgarbage()
  local t = {}
  for i = 1, 1000 do t[i] = ("x"):rep(i) .. i end
  assert(#table.concat(t) == 500500 + 9 + 180 + 2700 + 4)
  assert(select("#", table.unpack(t)) == 1000)
  assert(load("return function(a) return a + 1 end")()(1) == 2)
  assert(coroutine.wrap(function() coroutine.yield(5) end)() == 5)
end
print("peak " .. status("VmHWM"))
