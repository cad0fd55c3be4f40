-- Finalizers: resurrection, errors, re-entry, coroutines, objects made inside.
local log = {}
local function note(...) log[#log + 1] = table.concat({ ... }, ":") end
local function settle() for _ = 1, 4 do collectgarbage() end end
local function flush(name)
  settle()
  table.sort(log)
  print(name, table.concat(log, " "))
  log = {}
end
warn("@off")
-- resurrected into a global, once only
do
  local mt = { __gc = function(o) note("res", o.id) saved = o end }
  local o = setmetatable({ id = 1 }, mt)
  o = nil
  settle()
  note("alive", saved.id, tostring(getmetatable(saved) == mt))
  saved = nil
  flush("resurrect")
end
-- registered again by its finalizer, a few times
do
  local mt
  mt = { __gc = function(o) o.n = o.n + 1 if o.n < 3 then setmetatable(o, mt) end note("again", o.n) end }
  setmetatable({ n = 0 }, mt)
  for _ = 1, 6 do settle() end
  flush("again")
end
-- errors of every kind
do
  for i, e in ipairs { "text", 42, false, {}, setmetatable({}, { __tostring = function() error("deep") end }) } do
    setmetatable({}, { __gc = function() note("error", i) error(e) end })
  end
  setmetatable({}, { __gc = function() note("rec") local function r() return 1 + r() end return r() end })
  setmetatable({}, { __gc = function() note("field") return log.x.y end })
  flush("errors")
end
-- work inside: tables, strings, coroutines, collections, pcall, sort, gsub, load
do
  setmetatable({}, { __gc = function()
    local t = {}
    for i = 1, 50 do t[i] = { tostring(i) } end
    collectgarbage() collectgarbage("step")
    table.sort(t, function(a, b) return tonumber(a[1]) > tonumber(b[1]) end)
    local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(t[i][1]) end end)
    note("inside", co(), co(), co(), (("abc"):gsub("%w", function(c) return c .. #t end)))
    note("load", load("return ...")(7))
    note("yield", tostring(pcall(coroutine.yield)))
  end })
  flush("inside")
end
-- finalizers that make objects with finalizers
do
  local function make(n) if n > 0 then setmetatable({}, { __gc = function() note("chain", n) make(n - 1) end }) end end
  make(5)
  for _ = 1, 8 do settle() end
  flush("chain")
end
-- objects that refer to each other and to a weak table
do
  local weak = setmetatable({}, { __mode = "kv" })
  local a = setmetatable({ name = "a" }, { __gc = function(o) note("see", o.name, o.other.name, tostring(weak[1] == nil)) end })
  local b = setmetatable({ name = "b" }, { __gc = function(o) note("see", o.name, o.other.name, tostring(weak[2] == nil)) end })
  a.other, b.other = b, a
  weak[1], weak[2] = a, b
  a, b = nil, nil
  flush("pair")
end
-- removed, changed and odd __gc fields
do
  local mt = { __gc = function() note("old") end }
  setmetatable({}, mt)
  mt.__gc = function() note("new") end
  settle()
  mt.__gc = nil
  setmetatable({}, mt)
  local odd = { __gc = true }
  setmetatable({}, odd)
  settle()
  setmetatable({}, odd)
  odd.__gc = function() note("late") end
  flush("fields")
end
-- a finalizer during a callback, a metamethod, a pending close
do
  local hits = 0
  local function trash() setmetatable({}, { __gc = function() hits = hits + 1 end }) end
  local t = {}
  for i = 1, 60 do t[i] = (i * 37) % 61 end
  table.sort(t, function(a, b) trash() collectgarbage("step", 100) return a < b end)
  for i = 2, 60 do assert(t[i - 1] <= t[i]) end
  local s = ("x"):rep(40):gsub("x", function() trash() collectgarbage() return "yy" end)
  local m = setmetatable({}, { __index = function(_, k) trash() collectgarbage() return k end, __add = function(a, b) trash() collectgarbage() return 5 end })
  local x = 0
  for i = 1, 20 do x = x + m[i] + (m + i) end
  do local c <close> = setmetatable({}, { __close = function() trash() collectgarbage() end }) end
  settle()
  print("hits", hits > 100, #s, x)
end
-- killed coroutines with pending finalizers inside
do
  for i = 1, 10 do
    local co = coroutine.create(function()
      local held = setmetatable({}, { __gc = function() note("co", i % 2) end })
      coroutine.yield(held)
      return held
    end)
    coroutine.resume(co)
    if i % 2 == 0 then coroutine.close(co) end
  end
  flush("coroutines")
end
