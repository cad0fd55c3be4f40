-- What the law's worlds have in common: a trace, a dump of all that can be seen,
-- calls of all functions, and the reference's `MERGE` and `KEEP`.
--
-- A path names a place: `T3.a3`, `_G.G1`, `M.f2`, `M.b4^p4` (a captured variable),
-- `C1.<mt>` (a metatable). A dump maps paths to values.

local log = {}

function trace(what)
  log[#log + 1] = tostring(what)
end

function mark(what, ...)
  trace(what)
  return ...
end

-- The trace since the last time.
function take_log()
  local text = table.concat(log, " ")
  log = {}
  return text
end

-- What the program holds from before a patch: objects and closures.
local kept = {}

function keep(value)
  kept[#kept + 1] = value == nil and false or value
end

function forget(i)
  kept[i] = false
end

local base = {}
local function globals()
  local found = {}
  for name, value in next, _G do
    if not base[name] then
      found[name] = value
    end
  end
  return found
end

local function key_text(key)
  if type(key) == "string" then
    return "." .. key
  end
  return "[" .. tostring(key) .. "]"
end

local function scalar(value)
  if type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) == "number" then
    return math.type(value) .. " " .. tostring(value)
  end
  return tostring(value)
end

local function sorted(t)
  local keys = {}
  for key in next, t do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return key_text(a) < key_text(b) end)
  return keys
end

-- Roots: the top-level locals that the probe tells, and the globals.
local function roots()
  local found = { _G = globals(), kept = kept, R = rawget(_G, "loaded") }
  if rawget(_G, "__probe") then
    for name, value in next, __probe() do
      found[name] = value
    end
  end
  return found
end

-- Visits all places; `see(path, value, parent, key, first)`.
local function walk(see)
  local first, functions, is_captured = {}, {}, false
  local function visit(path, value, parent, key, above)
    local kind = type(value)
    local is_known = true
    if (kind == "table" or kind == "function") and not first[value] then
      first[value] = path
      is_known = false
    end
    if kind == "function" and not (is_captured and is_known) then
      functions[#functions + 1] = { path, value }
    end
    see(path, value, parent, key, first[value])
    if kind == "table" and not above[value] and #path < 80 and not (is_captured and is_known) then
      above[value] = true
      for _, k in ipairs(sorted(value)) do
        visit(path .. key_text(k), rawget(value, k), path, k, above)
      end
      local meta = debug.getmetatable(value)
      if meta then
        visit(path .. ".<mt>", meta, nil, nil, above)
      end
      above[value] = nil
    end
  end
  local all = roots()
  for _, name in ipairs(sorted(all)) do
    visit(name, all[name], nil, nil, {})
  end
  local done = 0
  is_captured = true
  while done < #functions do
    done = done + 1
    local path, f = functions[done][1], functions[done][2]
    if debug.getinfo(f, "S").what ~= "C" then
      for i = 1, 255 do
        local name, value = debug.getupvalue(f, i)
        if not name then
          break
        end
        if name ~= "_ENV" and name ~= "" then
          visit(path .. "^" .. name, value, nil, nil, {})
        end
      end
    end
  end
  return functions
end

-- One line for each place: `path<TAB>value`.
function dump()
  local lines = {}
  walk(function(path, value, _, _, first)
    local kind, shown = type(value), nil
    if kind == "function" then
      local info = debug.getinfo(value, "S")
      shown = info.what == "C" and "native" or ("function@%d %s"):format(info.linedefined, first)
    elseif kind == "table" then
      shown = "table " .. first
    else
      shown = scalar(value)
    end
    lines[#lines + 1] = path .. "\t" .. shown
  end)
  return table.concat(lines, "\n")
end

local function quoted(value)
  return ("%q"):format(value)
end

-- Adds one place to what is saved.
local function keep(saved, path, value, parent, key)
  if saved.seen[path] then
    return
  end
  saved.seen[path] = true
  local kind = type(value)
  if kind == "table" then
    value = "{}"
  elseif kind == "number" or kind == "string" or kind == "boolean" then
    value = quoted(value)
  else
    value = nil
  end
  if value then
    saved[#saved + 1] = ("[%q] = %s"):format(path, value)
  end
  if parent and (type(key) == "string" or math.type(key) == "integer") then
    table.insert(saved.items, ("{%q, %s, %q}"):format(parent, quoted(key), path))
  end
end

local function text_of(saved)
  return ("{ values = { %s }, items = { %s } }"):format(
    table.concat(saved, ", "), table.concat(saved.items, ", "))
end

-- The values as a Lua expression, for a reference world.
function save()
  local saved = { items = {}, seen = {} }
  walk(function(path, value, parent, key)
    keep(saved, path, value, parent, key)
  end)
  return text_of(saved)
end

-- What the text itself puts where: `SET` stands around its values.
local set = { items = {}, seen = {} }

function SET(path, value, parent, key)
  set.seen[path] = nil
  keep(set, path, value, parent, key)
  if type(value) == "table" then
    for k, item in next, value do
      SET(path .. key_text(k), item, path, k)
    end
  end
  return value
end

function save_set()
  return text_of(set)
end

local function answer(results)
  local shown = {}
  for i = 1, results.n do
    local value = results[i]
    local kind = type(value)
    if kind == "function" then
      shown[i] = "function@" .. debug.getinfo(value, "S").linedefined
    elseif kind == "table" then
      shown[i] = "table"
    else
      shown[i] = scalar(value)
    end
  end
  return table.concat(shown, " ")
end

-- Calls every function with some arguments, in the order of their paths, and what
-- they return. A line for each call.
function calls()
  local functions, seen = {}, {}
  for _, each in ipairs(walk(function() end)) do
    local path, f = each[1], each[2]
    if seen[f] then
      path = "^"
    end
    seen[f] = true
    if not path:find("^", 1, true) and debug.getinfo(f, "S").what ~= "C" and not path:find("__probe", 1, true) then
      functions[#functions + 1] = each
    end
  end
  table.sort(functions, function(a, b) return a[1] < b[1] end)
  local lines = {}
  local function one(path, f, ...)
    local results = table.pack(pcall(f, ...))
    lines[#lines + 1] = path .. "\t" .. answer(results) .. " | " .. take_log()
    if results[1] and type(results[2]) == "function" then
      local inner = results[2]
      for _ = 1, 2 do
        lines[#lines + 1] = path .. "()\t" .. answer(table.pack(pcall(inner, 3)))
      end
    end
  end
  local all = roots()
  for _, each in ipairs(functions) do
    local path, f = each[1], each[2]
    if debug.getlocal(f, 1) == "self" or path:find("<mt>", 1, true) then
      local class = path:match("^(.*)%.[%w_]+$")
      local value = all
      for name in class:gmatch("[^.]+") do
        value = value and rawget(value, name)
      end
      local new = type(value) == "table" and rawget(value, "new")
      local ok, object = pcall(function() return new and new(4) or value end)
      one(path, f, ok and object or 1, 2)
    else
      one(path, f, 1)
      one(path, f, 2, 5)
    end
  end
  for i, object in ipairs(kept) do
    local class = type(object) == "table" and getmetatable(object)
    for _, name in ipairs(class and sorted(class) or {}) do
      if type(class[name]) == "function" and name ~= "new" then
        one(("kept[%d]:%s"):format(i, name), class[name], object, 2)
      end
    end
  end
  return table.concat(lines, "\n")
end

-- The reference's side.

local live, fresh -- what the program held, what the old text puts there
local is_old, is_new -- paths that the texts themselves set
local is_computed -- those that the old text computes

local function prepare(saved)
  local items = {}
  for _, each in ipairs(saved.items) do
    items[each[1]] = items[each[1]] or {}
    table.insert(items[each[1]], { each[2], each[3] })
  end
  saved.items = items
  return saved
end

local function copy(path)
  local value = live.values[path]
  if type(value) ~= "table" then
    return value
  end
  local made = {}
  for _, item in ipairs(live.items[path] or {}) do
    made[item[1]] = copy(item[2])
  end
  return made
end

-- Whether the program left a place as the old text made it. A part that an expression
-- made counts as untouched if it is there.
local function is_untouched(path, is_part)
  local a, b = live.values[path], fresh.values[path]
  if is_part and is_computed[path] then
    return a ~= nil
  end
  if type(a) ~= "table" or type(b) ~= "table" then
    return rawequal(a, b) and math.type(a) == math.type(b)
  end
  for _, side in ipairs { live, fresh } do
    for _, item in ipairs(side.items[path] or {}) do
      if not is_untouched(item[2], true) then
        return false
      end
    end
  end
  return true
end

-- What stands at `path` where the new text says `new`.
function MERGE(path, new)
  local is_table = type(live.values[path]) == "table"
  local was_table = type(fresh.values[path]) == "table"
  if type(new) == "table" and is_table and was_table then
    for key, value in next, new do
      new[key] = MERGE(path .. key_text(key), value)
    end
    for _, item in ipairs(live.items[path] or {}) do
      local key, at = item[1], item[2]
      if rawget(new, key) == nil and not is_new[at] and not (is_old[at] and is_untouched(at)) then
        new[key] = copy(at)
      end
    end
    return new
  end
  if is_untouched(path) then
    return new
  end
  return copy(path)
end

function KEEP(path)
  return copy(path)
end

function reference(live_, fresh_, is_old_, is_new_, is_computed_)
  live, fresh = prepare(live_), prepare(fresh_)
  is_old, is_new, is_computed = is_old_, is_new_, is_computed_
  for _, item in ipairs(live.items._G or {}) do
    if not is_old[item[2]] and not is_new[item[2]] then
      _G[item[1]] = copy(item[2])
    end
  end
end

-- Makes what the program kept: an object of `class`, a closure as `make` makes it,
-- with the values that it has in the program.
function rebuild(i, class, make)
  local path = ("kept[%d]"):format(i)
  if class then
    kept[i] = type(live.values[path]) == "table" and setmetatable(copy(path), class) or false
    return
  end
  local f = make and make()
  if type(f) ~= "function" then
    kept[i] = false
    return
  end
  kept[i] = f
  for at = 1, 255 do
    local name = debug.getupvalue(f, at)
    if not name then
      break
    end
    local value = live.values[path .. "^" .. name]
    if name:find("^h%d") and value ~= nil then
      debug.setupvalue(f, at, value)
    end
  end
end

base.loaded, base.__probe, base.mod = true, true, true
for name in next, _G do
  base[name] = true
end
