-- §2.6: resume, yield, status, wrap, isyieldable, running, close, errors.
local co = coroutine.create(function(a, b)
  print("start", a, b)
  local c = coroutine.yield(a + b)
  print("got", c)
  local d, e = coroutine.yield(c * 2)
  print("got", d, e)
  return "done", 99
end)
print(coroutine.status(co), coroutine.resume(co, 1, 2))
print(coroutine.status(co), coroutine.resume(co, 10))
print(coroutine.resume(co, "x", "y"))
print(coroutine.status(co), coroutine.resume(co))
co = coroutine.create(function() error("oops") end)
print(coroutine.resume(co)) print(coroutine.status(co), coroutine.resume(co))
co = coroutine.create(function() error({ code = 7 }) end)
local ok, e = coroutine.resume(co)
print(ok, type(e), e.code)
local w = coroutine.wrap(function() coroutine.yield(1) error("in wrap", 0) end)
print(w(), pcall(w), pcall(w))
print(coroutine.isyieldable(), coroutine.wrap(function() return coroutine.isyieldable() end)())
print(select(2, coroutine.running()), coroutine.wrap(function() return select(2, coroutine.running()) end)())
print(pcall(coroutine.yield, 1))
co = coroutine.create(function() return coroutine.resume(co) end)
print(coroutine.resume(co))
print(coroutine.resume(coroutine.running()))
local outer
outer = coroutine.create(function()
  local inner = coroutine.create(function() print(coroutine.status(outer)) coroutine.yield() end)
  coroutine.resume(inner)
  print(coroutine.status(inner), coroutine.status(outer))
end)
coroutine.resume(outer)
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local s = 0
for i in gen(100) do s = s + i end
print(s)
print(coroutine.close(coroutine.create(print)), pcall(coroutine.close, coroutine.running()))
co = coroutine.create(function() error("x", 0) end)
coroutine.resume(co)
print(coroutine.close(co), coroutine.status(co))
print(coroutine.resume(coroutine.create(function(...) return select("#", ...), ... end), nil, nil))
print(pcall(coroutine.create, 5), pcall(coroutine.resume, 5), pcall(coroutine.status))
local function walk(t) if type(t) == "table" then walk(t[1]) walk(t[2]) else coroutine.yield(t) end end
local leaves = {}
for leaf in coroutine.wrap(function() walk { { 1, { 2, 3 } }, { 4, 5 } } end) do leaves[#leaves + 1] = leaf end
print(table.concat(leaves, " "))
local many = {}
for i = 1, 1000 do many[i] = coroutine.create(function(x) local y = coroutine.yield(x + i) return x + y end) end
local total = 0
for i = 1, 1000 do total = total + select(2, coroutine.resume(many[i], 1)) end
for i = 1, 1000 do total = total + select(2, coroutine.resume(many[i], 2)) end
print(total)
local deep = coroutine.wrap(function() local function down(n) if n == 0 then coroutine.yield("bottom") return 0 end return 1 + down(n - 1) end return down(5000) end)
print(deep(), deep())
