-- Compares the count with the pages that are really there, for several kinds.
local function resident()
  local f = assert(io.open("/proc/self/status"))
  local text = f:read("a")
  f:close()
  return tonumber(text:match("VmRSS:%s*(%d+)"))
end
local keep = {}
local function measure(name, make)
  collectgarbage()
  local count, real = collectgarbage("count"), resident()
  keep[#keep + 1] = make()
  print("count " .. name, collectgarbage("count") - count, resident() - real)
  collectgarbage()
end
measure("coroutines", function()
  local t = {}
  for i = 1, 10000 do
    local co = coroutine.wrap(function() coroutine.yield() end)
    co()
    t[i] = co
  end
  return t
end)
measure("closures", function()
  local t = {}
  for i = 1, 400000 do t[i] = function() return i end end
  return t
end)
measure("strings", function()
  local t = {}
  for i = 1, 300000 do t[i] = "string number " .. i end
  return t
end)
measure("tables", function()
  local t = {}
  for i = 1, 300000 do t[i] = { x = i, y = i } end
  return t
end)
measure("array", function()
  local t = {}
  for i = 1, 4000000 do t[i] = i end
  return t
end)
measure("long-strings", function()
  local t = {}
  for i = 1, 300 do t[i] = ("x"):rep(100000) .. i end
  return t
end)
return nil
