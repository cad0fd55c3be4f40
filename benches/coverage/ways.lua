-- The twelve ways a function can be held, and what becomes of each when the
-- module it is from changes. Run by `coverage` in moonswap and in lua5.4:
--
--   lua5.4 ways.lua require|walk [OBJECTS SAMPLES]
--
-- Prints one line for each way: name, then 1 or 0 for each of
--  code      a call made through it after the change runs the new code,
--  identity  it is the same object as before (==, tostring) and still equal to
--            what the module has,
--  state     what the function had captured (a counter) goes on where it was.
-- With OBJECTS: the time a change takes, µs, p50 p99 max, beside that many tables.
local tool, n_objects, n_samples = arg[1], tonumber(arg[2]), tonumber(arg[3])
local folder = arg[0]:match("^(.*)/") or "."
local file = assert(io.open(folder .. "/module.lua"))
local template = file:read("a")
file:close()

local function text(version) return (template:gsub("VERSION", tostring(version))) end

local current = {}
table.insert(package.searchers, 2, function(name)
  if current[name] then return assert(load(text(current[name]), "@" .. name .. ".lua")) end
end)

-- A host written in C keeps functions in the registry; moonswap's host is given.
local hold = HOLD or function(f)
  local registry = debug.getregistry()
  registry[#registry + 1] = f
  return #registry
end
local held = HELD or function(handle) return debug.getregistry()[handle] end

local change
if tool == "require" then
  change = function(name)
    package.loaded[name] = nil
    require(name)
  end
elseif tool == "walk" then
  local walk = dofile(folder .. "/walk.lua")
  change = function(name) walk(name, text(current[name])) end
else
  change = function(name) SWAP("@" .. name .. ".lua", text(current[name])) end
end

local function swap(name)
  current[name] = 2
  change(name)
end

local function module(name) return package.loaded[name] end

-- The first call was version 1; `c1` and `c2` are the counts before and after.
local function judge(v2, c1, c2, before, f, other)
  return v2 == 2, tostring(f) == before and f == other, c2 == c1 + 1
end

local ways = {
  { "module field", function(name, m)
    local before = tostring(m.hit)
    WITNESS = m.hit
    local _, c1 = require(name).hit()
    swap(name)
    local v2, c2 = require(name).hit()
    return judge(v2, c1, c2, before, require(name).hit, WITNESS)
  end },
  { "local of a caller", function(name, m)
    local f = m.hit
    local before = tostring(f)
    local _, c1 = f()
    swap(name)
    local v2, c2 = f()
    return judge(v2, c1, c2, before, f, module(name).hit)
  end },
  { "upvalue", function(name, m)
    local function caller(f) return function() return f end end
    local get = caller(m.hit)
    local before = tostring(get())
    local _, c1 = get()()
    swap(name)
    local v2, c2 = get()()
    return judge(v2, c1, c2, before, get(), module(name).hit)
  end },
  { "table key", function(name, m)
    local listeners = { [m.hit] = true }
    local before = tostring(m.hit)
    local _, c1 = next(listeners)()
    swap(name)
    local v2, c2 = next(listeners)()
    return judge(v2, c1, c2, before, next(listeners), listeners[module(name).hit] and module(name).hit)
  end },
  { "table value", function(name, m)
    local handlers = { on_hit = m.hit }
    local before = tostring(m.hit)
    local _, c1 = handlers.on_hit()
    swap(name)
    local v2, c2 = handlers.on_hit()
    return judge(v2, c1, c2, before, handlers.on_hit, module(name).hit)
  end },
  { "metatable", function(name, m)
    local object = setmetatable({}, { __index = m.read })
    local before = tostring(m.read)
    local c1 = object.count
    swap(name)
    local c2, v2 = object.count, object.version
    return judge(v2, c1, c2, before, getmetatable(object).__index, module(name).read)
  end },
  { "timer list", function(name, m)
    TIMERS = { { at = 1, run = m.hit }, { at = 2, run = m.hit } }
    local before = tostring(m.hit)
    local _, c1 = TIMERS[1].run()
    swap(name)
    local v2, c2 = TIMERS[2].run()
    return judge(v2, c1, c2, before, TIMERS[2].run, module(name).hit)
  end },
  { "host handle", function(name, m)
    local handle = hold(m.hit)
    local before = tostring(m.hit)
    local _, c1 = held(handle)()
    swap(name)
    local v2, c2 = held(handle)()
    return judge(v2, c1, c2, before, held(handle), module(name).hit)
  end },
  { "factory closure", function(name, m)
    local closure = m.make()
    WITNESS = closure
    local before = tostring(closure)
    local _, c1 = closure()
    swap(name)
    local v2, c2 = closure()
    return judge(v2, c1, c2, before, closure, WITNESS)
  end },
  { "coroutine local", function(name, m)
    local co = coroutine.wrap(function(f)
      while true do
        local v, c = f()
        coroutine.yield(v, c, f)
      end
    end)
    local before = tostring(m.hit)
    local _, c1 = co(m.hit)
    swap(name)
    local v2, c2, f = co()
    return judge(v2, c1, c2, before, f, module(name).hit)
  end },
  -- Suspended inside a function that changes: what it calls next is new.
  { "suspended coroutine", function(name, m)
    local co = coroutine.create(m.serve)
    local before = tostring(m.serve)
    local _, _, c1 = coroutine.resume(co)
    swap(name)
    local _, v2, c2 = coroutine.resume(co)
    return judge(v2, c1, c2, before, debug.getinfo(co, 1, "f").func, module(name).serve)
  end },
  { "hook", function(name, m)
    local co = coroutine.create(function() while true do coroutine.yield() end end)
    debug.sethook(co, m.watch, "c")
    local before = tostring(m.watch)
    coroutine.resume(co)
    local c1 = COUNT
    swap(name)
    coroutine.resume(co)
    return judge(SEEN, c1, COUNT, before, (debug.gethook(co)), module(name).watch)
  end },
}

if not n_objects then
  for i, way in ipairs(ways) do
    local name = "m" .. i
    current[name] = 1
    local code, identity, state = way[2](name, require(name))
    print(("%-20s %d %d %d"):format(way[1], code and 1 or 0, identity and 1 or 0, state and 1 or 0))
  end
  return
end

OBJECTS = {}
for i = 1, n_objects do OBJECTS[i] = { x = i } end
current.m = 1
require "m"
local clock = CLOCK or os.clock
local times = {}
for i = 1, n_samples do
  current.m = i % 2 + 1
  local start = clock()
  change("m")
  times[i] = (clock() - start) * 1e6
end
table.sort(times)
local function at(q) return times[math.max(1, math.ceil(#times * q))] end
print(("%.1f %.1f %.1f"):format(at(0.5), at(0.99), at(1)))
