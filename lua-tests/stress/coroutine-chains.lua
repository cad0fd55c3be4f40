-- Coroutines that close, kill, wrap and outlive each other.
local function grow(n) if n == 0 then return 0 end return 1 + grow(n - 1) end
local log = {}
local function note(...) log[#log + 1] = table.concat({ ... }, ",") end
local function flush(name) print(name, table.concat(log, " ")) log = {} end
local function closer(name, f) return setmetatable({}, { __close = function(_, e) note("close", name, type(e) == "table" and e[1] or tostring(e)) if f then f(e) end end }) end
-- each one resumes the next; the innermost yields through none of them
local function chain(n)
  if n == 0 then return "bottom" end
  local co = coroutine.create(function()
    local c <close> = closer(n)
    grow(n * 20)
    local r = chain(n - 1)
    local y = coroutine.yield(r .. n)
    return y .. n
  end)
  local _, r = coroutine.resume(co)
  local _, e = coroutine.resume(co, "y")
  return r .. "/" .. e
end
print(#chain(12), (chain(3)))
flush("chain")
log = {}
-- closing with errors that replace each other
local co = coroutine.create(function()
  local a <close> = closer("a", function() error("a fails", 0) end)
  local b <close> = closer("b")
  local c <close> = closer("c", function() grow(100) error({ "c" }) end)
  coroutine.yield(1)
end)
coroutine.resume(co)
local ok, e = coroutine.close(co)
note(tostring(ok), tostring(e)) flush("errors")
-- yields inside __close, of a block, of an error, of a coroutine being closed
local co = coroutine.wrap(function()
  do
    local a <close> = setmetatable({}, { __close = function() coroutine.yield("in close 1") note("c1") end })
    note("body")
  end
  local ok, e = pcall(function()
    local b <close> = setmetatable({}, { __close = function(_, e) coroutine.yield("in close 2") note("c2", tostring(e)) end })
    error("err", 0)
  end)
  note(tostring(ok), e)
  return "done"
end)
for _ = 1, 3 do note(co()) end
flush("yield in close")
-- a coroutine that closes another while that one's closer runs a third
local third = coroutine.create(function() local t <close> = closer("third") coroutine.yield() end)
coroutine.resume(third)
local second = coroutine.create(function()
  local s <close> = closer("second", function() note(tostring(coroutine.close(third))) end)
  coroutine.yield()
end)
coroutine.resume(second)
coroutine.wrap(function() local f <close> = closer("first", function() note(tostring(coroutine.close(second))) end) end)()
flush("nested")
note(coroutine.status(second), coroutine.status(third)) flush("status")
-- refusals
local main = coroutine.running()
note(tostring(pcall(coroutine.close, main)))
coroutine.wrap(function() note(tostring(pcall(coroutine.close, coroutine.running())), tostring(coroutine.resume(main))) end)()
local self
self = coroutine.wrap(function() return pcall(self) end)
note(select(2, self()))
flush("refused")
-- in the middle of every library function that calls back
local cases = {
  sort = function(y) local t = { 3, 1, 2, 5, 4 } table.sort(t, function(a, b) y() return a < b end) end,
  gsub = function(y) return (("abc"):gsub(".", function(c) y() return c .. c end)) end,
  pcall = function(y) return select(2, pcall(y)) end,
  xpcall = function(y) return select(2, xpcall(y, print)) end,
  index = function(y) return setmetatable({}, { __index = function() y() return "i" end }).x end,
  concat = function(y) return setmetatable({}, { __concat = function() y() return "c" end }) .. "x" end,
  compare = function(y) local m = { __lt = function() y() return true end } return tostring(setmetatable({}, m) < setmetatable({}, m)) end,
  eq = function(y) local m = { __eq = function() y() return true end } return tostring(setmetatable({}, m) == setmetatable({}, m)) end,
  length = function(y) return #setmetatable({}, { __len = function() y() return 7 end }) end,
  call = function(y) return setmetatable({}, { __call = function(_, a) y() return a end })("called") end,
  close = function(y) do local c <close> = setmetatable({}, { __close = y }) end return "closed" end,
  iterate = function(y) local s = "" for i in function(_, i) y() i = (i or 0) + 1 if i < 4 then return i end end do s = s .. i end return s end,
  load = function(y) local n = 0 return load(function() y() n = n + 1 return ({ "return ", "'loaded'" })[n] end) end,
  tostring = function(y) return tostring(setmetatable({}, { __tostring = function() y() return "t" end })) end,
}
local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local co = coroutine.create(cases[name])
  local turns, ok, r = 0
  repeat
    ok, r = coroutine.resume(co, coroutine.yield)
    turns = turns + 1
    grow(60)
  until coroutine.status(co) == "dead" or turns > 50
  print(name, turns, ok, type(r) == "function" and "function" or r)
  -- and left in the middle
  local again = coroutine.create(cases[name])
  coroutine.resume(again, coroutine.yield)
  if coroutine.status(again) == "suspended" then note(name, tostring(coroutine.close(again))) end
end
flush("left")
-- many, unreferenced in every state
local alive = {}
for i = 1, 300 do
  local c = coroutine.create(function(a) local x <close> = closer(a) local v = { a } local f = function() v[1] = v[1] + 1 return v[1] end coroutine.yield(f) grow(5) return f end)
  local _, f = coroutine.resume(c, i)
  if i % 3 == 0 then alive[#alive + 1] = f elseif i % 3 == 1 then coroutine.resume(c) end
end
log = {}
collectgarbage()
local sum = 0
for _, f in ipairs(alive) do sum = sum + f() + f() end
print(#alive, sum)
