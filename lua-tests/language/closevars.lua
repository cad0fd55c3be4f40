-- §3.3.8: to-be-closed variables: order, errors, break, return, goto, coroutines.
local log = {}
local function new(name, fails)
  return setmetatable({}, { __close = function(_, e)
    log[#log + 1] = name .. (e and "(" .. tostring(e):gsub("^.-:%d+: ", "") .. ")" or "")
    if fails then error(name .. " failed", 0) end
  end })
end
local function show(...) print(table.concat(log, " ")) log = {} if select("#", ...) > 0 then print(...) end end
do local a <close> = new "a" local b <close> = new "b" local c <close> = nil local d <close> = false end
show()
local function returns() local a <close> = new "a" return 1, 2, #log end
show(returns())
for i = 1, 3 do local x <close> = new("x" .. i) if i == 2 then break end end
show()
do
  local i = 1
  ::top::
  do local y <close> = new("y" .. i) i = i + 1 if i < 4 then goto top end end
end
show()
show(pcall(function() local a <close> = new "a" local b <close> = new "b" error("boom", 0) end))
show(pcall(function() local a <close> = new "a" local b <close> = new("b", true) local c <close> = new "c" error("boom", 0) end))
show(pcall(function() local a <close> = new("a", true) return "lost" end))
show(pcall(function() local bad <close> = 5 end))
show(pcall(function() local x <close> = new "x" local bad <close> = {} end))
local function tail() local a <close> = new "a" return (function() log[#log + 1] = "called" return "result" end)() end
show(tail())
local co = coroutine.create(function() local a <close> = new "a" local b <close> = new "b" coroutine.yield(1) end)
print(coroutine.resume(co)) print(coroutine.close(co), coroutine.status(co))
show()
co = coroutine.create(function() local a <close> = new("a", true) local b <close> = new "b" coroutine.yield(1) end)
coroutine.resume(co)
show(coroutine.close(co))
co = coroutine.wrap(function()
  local a <close> = setmetatable({}, { __close = function() coroutine.yield("in close") log[#log + 1] = "closed" end })
  return "returned"
end)
print(co()) print(co())
show()
co = coroutine.wrap(function()
  local ok, e = pcall(function()
    local a <close> = setmetatable({}, { __close = function(_, e) coroutine.yield("closing " .. e) end })
    error("E", 0)
  end)
  return ok, e
end)
print(co()) print(co())
for k in (function() local n = 0 return function() n = n + 1 if n < 3 then return n end end, nil, nil, new "iterator" end)() do log[#log + 1] = "pass" .. k end
show()
show(pcall(function() for k in next, { 1 }, nil, new "it" do error("inside", 0) end end))
local function nested() local a <close> = new "outer" do local b <close> = new "inner" return (function() return "v" end)() end end
show(nested())
local k <const> = 5
print(k, load("local x <const> = 1; x = 2"))
print(load("local x <close>, y <close> = 1, 2"))
print(load("local x <foo> = 1"))
