-- What the command `commits` sees of a loaded text. Each load gets a *world*: an
-- environment in which what the text does not define itself is a *stub*, an object
-- that can be indexed, called and computed with, and that tells by its path where it
-- came from. Two worlds are compared by walking both at once from their roots:
-- what the chunk returned, its globals, its top-level locals, and the arguments of
-- the calls that it made of stubs (registrations are calls).
--
-- The host gives `code`: the instructions of a Lua function as text, with the names
-- of captured variables instead of their numbers; its constants; and whether a patch
-- made it read variables by other operations, so that only the constants tell.
local code = ...

local MAX_CALLS = 4000 -- of stubs in one world: iterating over one has no end
local MAX_DIFFERENCES = 400

local paths = setmetatable({}, {__mode = "k"}) -- stub -> its path
local worlds = setmetatable({}, {__mode = "k"}) -- stub -> its world
local children = setmetatable({}, {__mode = "k"}) -- stub -> its fields that were read
local alike = setmetatable({}, {__mode = "k"}) -- what each world has of its own -> its name

local stub_meta = {}

local function stub(world, path)
  local made = world.stubs[path]
  if not made then
    made = setmetatable({}, stub_meta)
    world.stubs[path] = made
    paths[made], worlds[made] = path, world
  end
  return made
end

local function short(value)
  local kind = type(value)
  if kind == "string" then
    return ("%q"):format(#value > 60 and value:sub(1, 60) or value)
  elseif kind == "table" then
    return paths[value] and "<" .. paths[value] .. ">" or "{}"
  elseif kind == "function" or kind == "thread" or kind == "userdata" then
    return kind
  end
  return tostring(value)
end

local function record(world, path, ...)
  local arguments = table.pack(...)
  local shown = {}
  for i = 1, arguments.n do
    shown[i] = short(arguments[i])
  end
  local key = path .. "(" .. table.concat(shown, ", ") .. ")"
  if #key > 300 then
    key = key:sub(1, 300)
  end
  world.n_calls = world.n_calls + 1
  if world.n_calls > MAX_CALLS then
    error("too many calls of stubs", 0)
  end
  local same = world.calls[key]
  if not same then
    same = {}
    world.calls[key] = same
    world.order[#world.order + 1] = key
  end
  same[#same + 1] = arguments
  return stub(world, key)
end

stub_meta.__index = function(self, key)
  if type(key) ~= "string" then
    return nil
  end
  return stub(worlds[self], paths[self] .. "." .. key)
end
stub_meta.__call = function(self, ...)
  return record(worlds[self], paths[self], ...)
end
local function one() return 1 end
for _, event in ipairs {"add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band",
  "bor", "bxor", "bnot", "shl", "shr"} do
  stub_meta["__" .. event] = one
end
stub_meta.__len = function() return 0 end
stub_meta.__lt = function() return false end
stub_meta.__le = function() return false end
stub_meta.__tostring = function(self) return "<" .. paths[self] .. ">" end
stub_meta.__concat = function(a, b)
  local function text(x) return paths[x] and "<" .. paths[x] .. ">" or tostring(x) end
  return text(a) .. text(b)
end

-- What texts ask for and no world has, so that they take the way of plain Lua.
local absent = {}
for name in ([[jit bit bit32 unpack loadstring setfenv getfenv table_unpack arg ngx vim
  newproxy _PROMPT love script _TEST _DEBUG utf8_char]]):gmatch("%S+") do
  absent[name] = true
end

local function nothing() end

-- The libraries: copies, so that texts may add to them; no way out of the process,
-- and the same answers in every world.
local function library()
  local env = {}
  for _, name in ipairs {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall",
    "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring",
    "type", "xpcall", "_VERSION"} do
    env[name] = _G[name]
  end
  for _, name in ipairs {"string", "table", "math", "coroutine", "utf8"} do
    env[name] = {}
    for key, value in pairs(_G[name]) do
      env[name][key] = value
    end
  end
  return env
end

local fixed = {
  print = nothing,
  collectgarbage = function() return 0 end,
  time = function(when) return when and when.year or 1000000000 end,
  clock = function() return 1.5 end,
  date = function(format) return format == "*t" and {year = 2001, month = 1, day = 1} or "date" end,
  exit = function() error("the text ends the program", 0) end,
  random = function(low) return low or 0.5 end,
  traceback = function(message) return message end,
}

local worlds_made = {}

local function new_world()
  local world = {stubs = {}, calls = {}, order = {}, n_calls = 0}
  local env = library()
  world.env = env
  env._G = env
  env.print, env.collectgarbage = fixed.print, fixed.collectgarbage
  env.warn = nothing
  env.math.random, env.math.randomseed = fixed.random, nothing
  env.os = {time = fixed.time, clock = fixed.clock, date = fixed.date, getenv = nothing,
    exit = fixed.exit, tmpname = fixed.clock, difftime = one}
  env.io = stub(world, "io")
  env.debug = {traceback = fixed.traceback, getinfo = function() return {
    source = "@text.lua", short_src = "text.lua", currentline = 1, what = "Lua"} end,
    sethook = nothing, gethook = nothing, getmetatable = getmetatable,
    setmetatable = setmetatable, getlocal = nothing, getupvalue = nothing}
  env.package = {loaded = {}, preload = {}, path = "?.lua", cpath = "", config = "/\n;\n?\n!\n-\n",
    searchers = {}, searchpath = nothing}
  env.load = function(text, name, mode, own)
    return load(text, name or "=part", mode or "t", own or env)
  end
  env.require = function(name)
    local known = env.package.loaded[name]
    if known ~= nil then return known end
    if env.package.preload[name] then
      known = env.package.preload[name](name)
      env.package.loaded[name] = known
      return known
    end
    local there = type(name) == "string" and rawget(env, name)
    if type(there) == "table" and _G[name] then return there end
    return stub(world, "require " .. short(name))
  end
  env.dofile, env.loadfile = stub(world, "dofile"), stub(world, "loadfile")
  alike[env], alike[env.require], alike[env.load] = "_G", "require", "load"
  alike[env.debug.getinfo] = "getinfo"
  world.base = {}
  for key in pairs(env) do
    world.base[key] = true
  end
  setmetatable(env, {__index = function(_, name)
    if type(name) == "string" and not absent[name] then
      return stub(world, name)
    end
  end})
  return world
end

-- Runs the main chunk of a world; `false, message` if it fails.
local function run(world, chunk, name, path)
  world.again = function() return chunk(name, path) end
  local results = table.pack(pcall(chunk, name, path))
  if not results[1] then
    return false, tostring(results[2])
  end
  world.results = table.pack(table.unpack(results, 2, results.n))
  return true
end

-- The next call of a main chunk that is called again and again; only what it does now
-- counts.
local function again(world)
  world.calls, world.order, world.n_calls = {}, {}, 0
  local results = table.pack(pcall(world.again))
  world.results = table.pack(table.unpack(results, results[1] and 2 or 1, results.n))
end

-- What a walk begins with.
local function roots(world)
  local globals = {}
  for key, value in next, world.env do
    if type(key) == "string" and (not world.base[key] or type(value) ~= "function") then
      globals[key] = value
    end
  end
  return {results = world.results, globals = globals, locals = world.locals or {},
    loaded = world.env.package.loaded, preload = world.env.package.preload}
end

local function key_text(key)
  if type(key) == "string" then return key end
  return "[" .. short(key) .. "]"
end

-- The first lines in which two texts differ, if they do.
local function first_difference(a, b)
  if a == b then return nil end
  local next_a, next_b = a:gmatch "[^\n]+", b:gmatch "[^\n]+"
  local line_a, line_b
  repeat
    line_a, line_b = next_a(), next_b()
  until line_a ~= line_b or not line_a
  return line_a or "end", line_b or "end"
end

-- Where the code of two functions differs; nothing if it does not.
local function different_code(a, b)
  local was, was_constants, was_loose = code(a)
  local is, is_constants, is_loose = code(b)
  if was_loose or is_loose then
    -- A variable that closures lack may be one of the constants.
    for line in is_constants:gmatch "[^\n]+" do
      if not ("\n" .. was_constants .. "\n"):find("\n" .. line .. "\n", 1, true) then
        return first_difference(was_constants, is_constants)
      end
    end
    return nil
  end
  return first_difference(was, is)
end

local function upvalues(f)
  local found, count = {}, 0
  for i = 1, 255 do
    local name, value = debug.getupvalue(f, i)
    if name == nil then break end
    count = count + 1
    local known = found[name]
    if known then
      known.several = true
    else
      found[name] = {value = value, index = i}
    end
  end
  return found
end

local function place(f)
  local info = debug.getinfo(f, "S")
  return info.what == "C" and "native" or ("lines %d-%d"):format(info.linedefined, info.lastlinedefined)
end

-- Compares what can be reached. Answers a list of `{kind, path, live, fresh}` where
-- `path` is a list of names, and how many pairs of functions and tables were compared.
local function compare(live, fresh)
  local out, seen, twin = {}, {}, {}
  local n_functions, n_tables = 0, 0
  local queue, head = {}, 1

  local function differ(kind, path, a, b)
    if #out < MAX_DIFFERENCES then
      out[#out + 1] = {kind = kind, path = path, live = a, fresh = b}
    end
  end
  local function step(path, name)
    return {up = path, name = name}
  end
  local function push(a, b, path)
    queue[#queue + 1] = {a, b, path}
  end

  local function functions(a, b, path)
    if alike[a] and alike[a] == alike[b] then return end
    n_functions = n_functions + 1
    local was, is = debug.getinfo(a, "Su"), debug.getinfo(b, "Su")
    if was.what == "C" or is.what == "C" then
      return differ("function", path, place(a), place(b))
    end
    if was.linedefined ~= is.linedefined or was.lastlinedefined ~= is.lastlinedefined then
      return differ("function", path, place(a), place(b))
    end
    if was.nparams ~= is.nparams or was.isvararg ~= is.isvararg then
      return differ("code", path, place(a) .. ", other parameters", place(b))
    end
    local line_a, line_b = different_code(a, b)
    if line_a then
      return differ("code", path, place(a) .. ": " .. line_a, place(b) .. ": " .. line_b)
    end
    local have, want = upvalues(a), upvalues(b)
    for name, variable in pairs(want) do
      local other = have[name]
      if name ~= "_ENV" and other and not other.several and not variable.several then
        push(other.value, variable.value, step(path, "^" .. name))
      end
    end
  end

  local function tables(a, b, path)
    n_tables = n_tables + 1
    if paths[a] or paths[b] then
      if paths[a] ~= paths[b] then
        return differ("value", path, short(a), short(b))
      end
    elseif alike[a] and alike[a] == alike[b] then
      return
    end
    for key, value in next, b do
      local kind = type(key)
      if kind == "string" or kind == "number" or kind == "boolean" then
        local other = rawget(a, key)
        if other == nil then
          differ("missing", step(path, key_text(key)), "nil", short(value))
        else
          push(other, value, step(path, key_text(key)))
        end
      end
    end
    for key, value in next, a do
      local kind = type(key)
      if (kind == "string" or kind == "number" or kind == "boolean") and rawget(b, key) == nil then
        differ("extra", step(path, key_text(key)), short(value), "nil")
      end
    end
    local was, is = debug.getmetatable(a), debug.getmetatable(b)
    if was ~= nil or is ~= nil then
      if not paths[a] then
        push(was, is, step(path, "<metatable>"))
      end
    end
  end

  local function calls(key)
    local was, is = live.calls[key] or {}, fresh.calls[key] or {}
    local path = {name = "call " .. key}
    if #was < #is then
      differ("call missing", path, tostring(#was), tostring(#is))
    elseif #was > #is then
      differ("call extra", path, tostring(#was), tostring(#is))
    end
    for i = 1, math.min(#was, #is) do
      for at = 1, math.max(was[i].n, is[i].n) do
        push(was[i][at], is[i][at], step(path, ("argument %d of call %d"):format(at, i)))
      end
    end
  end

  local was, is = roots(live), roots(fresh)
  for _, name in ipairs {"results", "locals", "globals", "loaded", "preload"} do
    push(was[name], is[name], {name = name})
  end
  for _, key in ipairs(fresh.order) do
    calls(key)
  end
  for _, key in ipairs(live.order) do
    if not fresh.calls[key] then
      calls(key)
    end
  end

  while head <= #queue do
    local a, b, path = table.unpack(queue[head], 1, 3)
    queue[head] = false
    head = head + 1
    if not rawequal(a, b) then
      local kind = type(a)
      if kind ~= type(b) then
        differ("value", path, short(a), short(b))
      elseif kind == "table" or kind == "function" then
        local others = seen[a]
        if not others then
          others = {}
          seen[a] = others
        end
        if not others[b] then
          if next(others) and kind == "table" and not paths[a] then
            differ("identity", path, "one object", "two objects")
          end
          others[b] = true
          if kind == "table" then tables(a, b, path) else functions(a, b, path) end
        end
      elseif kind == "thread" or kind == "userdata" then
        -- nothing to compare
      elseif a == a or b == b then
        differ("value", path, short(a), short(b))
      end
    end
  end

  for _, found in ipairs(out) do
    local names, at = {}, found.path
    while at do
      table.insert(names, 1, at.name)
      at = at.up
    end
    found.path = names
  end
  return out, n_functions, n_tables
end

return {new_world = new_world, run = run, again = again, compare = compare}
