-- What can be reached from the globals, the registry and the metatables of types,
-- as text: contents of tables, their metatables, captured variables of functions,
-- versions; and what the collector and the debug hook are set to. Two texts are
-- equal if nothing has changed.
local getupvalue, getmetatable = debug.getupvalue, debug.getmetatable
local type, tostring, next = type, tostring, next
local sort, concat, version = table.sort, table.concat, version
local upvalueid, gethook, collect = debug.upvalueid, debug.gethook, collectgarbage
local getregistry, thread = debug.getregistry, coroutine.create(function() end)

local function raw(value)
  if type(value) == "string" then return string.format("%q", value) end
  if type(value) == "table" then
    return (string.format("table %p", value))
  end
  return tostring(value)
end

function fingerprint()
  local seen, lines, pending = {}, {}, {}
  local function visit(value)
    local t = type(value)
    if (t == "table" or t == "function") and not seen[value] then
      seen[value] = true
      pending[#pending + 1] = value
    end
  end
  visit(_G)
  visit(getregistry())
  local types = { [0] = "nil", false, 0, "", print, thread }
  for i = 0, #types do
    local value = types[i]
    if i == 0 then value = nil end
    lines[#lines + 1] = "metatable of a " .. type(value) .. " = " .. raw(getmetatable(value))
    visit(getmetatable(value))
  end
  local pause, multiplier = collect("setpause", 200), collect("setstepmul", 100)
  collect("setpause", pause)
  collect("setstepmul", multiplier)
  local mode = collect("incremental")
  collect(mode)
  lines[#lines + 1] = concat({ "gc", pause, multiplier, mode, tostring(collect("isrunning")) }, " ")
  local hook, mask, count = gethook()
  lines[#lines + 1] = concat({ "hook", raw(hook), tostring(mask), tostring(count) }, " ")
  while #pending > 0 do
    local value = pending[#pending]
    pending[#pending] = nil
    local name = raw(value)
    if type(value) == "table" then
      for k, v in next, value do
        lines[#lines + 1] = name .. "[" .. raw(k) .. "] = " .. raw(v)
        visit(k)
        visit(v)
      end
      local meta = getmetatable(value)
      if meta then
        lines[#lines + 1] = name .. " meta " .. raw(meta)
        visit(meta)
      end
    elseif value ~= fingerprint then
      lines[#lines + 1] = name .. " version " .. tostring(version(value))
      for i = 1, 255 do
        local n, v = getupvalue(value, i)
        if not n then break end
        -- Asking for its identity would make a variable that the function lacks.
        local id = v ~= nil and tostring(upvalueid(value, i)) or ""
        lines[#lines + 1] = name .. " captures " .. n .. " = " .. raw(v) .. " " .. id
        visit(v)
      end
    end
  end
  sort(lines)
  return concat(lines, "\n") .. "\n"
end
