-- A reload for plain Lua that walks the heap, written for the comparison with
-- what can be done without help of the VM. The technique is that of the public
-- tools of this kind:
--  1. run the new text as a module of its own;
--  2. pair old and new functions: by field of the module table, then by name of
--     the captured variables that hold functions;
--  3. join the other captured variables of a new function to those of the old one
--     (debug.upvaluejoin), so that state stays;
--  4. visit everything that can be reached (tables with their keys and metatables,
--     captured variables, stacks of all coroutines met, hooks, the registry) and
--     put the new function wherever the old one stands.
-- What it cannot do: closures that a function of the module made before have no
-- counterpart among the new functions, a frame that stands in an old function
-- stays there, the new function is another object than the old one.
local debug, pairs, type, next = debug, pairs, type, next
local getmetatable, rawset = debug.getmetatable, rawset

local function upvalues(f)
  local names = {}
  for i = 1, 255 do
    local name = debug.getupvalue(f, i)
    if not name then break end
    names[name] = i
  end
  return names
end

local function pair_functions(old, new, map)
  if map[old] or old == new then return end
  map[old] = new
  local mine = upvalues(old)
  for name, j in pairs(upvalues(new)) do
    local i = mine[name]
    if i then
      local _, was = debug.getupvalue(old, i)
      local _, is = debug.getupvalue(new, j)
      if type(was) == "function" and type(is) == "function" then
        pair_functions(was, is, map)
      else
        debug.upvaluejoin(new, j, old, i)
      end
    end
  end
end

local function replace_all(map, skip)
  local seen, todo, n = { [map] = true, [skip] = true }, {}, 0
  seen[seen], seen[todo] = true, true
  local function look(v)
    local kind = type(v)
    if kind == "table" or kind == "function" or kind == "thread" or kind == "userdata" then
      local new = map[v]
      if new then return new end
      if not seen[v] then
        seen[v] = true
        n = n + 1
        todo[n] = v
      end
    end
  end
  local function stack(co)
    local first = co and 0 or 3
    for level = first, 1e6 do
      local info = co and debug.getinfo(co, level, "f") or not co and debug.getinfo(level, "f")
      if not info then break end
      -- A frame keeps its function; what that has captured can change.
      local f = info.func
      if not seen[f] then
        seen[f] = true
        n = n + 1
        todo[n] = f
      end
      for i = 1, 1e6 do
        local name, value
        if co then name, value = debug.getlocal(co, level, i) else name, value = debug.getlocal(level, i) end
        if not name then break end
        local new = look(value)
        if new then
          if co then debug.setlocal(co, level, i, new) else debug.setlocal(level, i, new) end
        end
      end
    end
    local hook, mask, count
    if co then hook, mask, count = debug.gethook(co) else hook, mask, count = debug.gethook() end
    local new = map[hook]
    if new then
      if co then debug.sethook(co, new, mask, count) else debug.sethook(new, mask, count) end
    end
  end
  stack(nil)
  look(_G)
  look(debug.getregistry())
  for _, basic in pairs { "", 0, true, print } do look(getmetatable(basic)) end
  while n > 0 do
    local v = todo[n]
    todo[n] = nil
    n = n - 1
    local kind = type(v)
    if kind == "table" then
      local rekey
      for k, value in next, v do
        local new = look(value)
        if new then v[k] = new end
        new = look(k)
        if new then
          rekey = rekey or {}
          rekey[k] = new
        end
      end
      for k, new in pairs(rekey or {}) do
        local value = v[k]
        rawset(v, k, nil)
        rawset(v, new, value)
      end
      look(getmetatable(v))
    elseif kind == "function" then
      for i = 1, 255 do
        local name, value = debug.getupvalue(v, i)
        if not name then break end
        local new = look(value)
        if new then debug.setupvalue(v, i, new) end
      end
    elseif kind == "thread" then
      stack(v)
    elseif kind == "userdata" then
      look(getmetatable(v))
      look((debug.getuservalue(v)))
    end
  end
end

return function(name, text)
  local old = package.loaded[name]
  local new = assert(load(text, "@" .. name .. ".lua"))()
  local map = {}
  for field, f in pairs(new) do
    if type(f) == "function" and type(old[field]) == "function" then
      pair_functions(old[field], f, map)
    elseif old[field] == nil then
      old[field] = f
    end
  end
  replace_all(map, new)
end
