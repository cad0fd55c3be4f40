-- What can be reached from the globals, as text: contents of tables, their
-- metatables, captured variables of functions, versions. Two texts are equal
-- if nothing has changed.
local getupvalue, getmetatable = debug.getupvalue, debug.getmetatable
local type, tostring, next = type, tostring, next
local sort, concat, version = table.sort, table.concat, version
local collect = collectgarbage
-- What `collectgarbage` was set to.
function gc_settings()
  local pause = collect("setpause", 200)
  collect("setpause", pause)
  local multiplier = collect("setstepmul", 100)
  collect("setstepmul", multiplier)
  return "gc " .. pause .. " " .. multiplier .. " " .. tostring(collect("isrunning"))
end

local known = {}
for _, name in next, {"string", "table", "math", "io", "os", "utf8", "coroutine", "debug"} do known[_G[name]] = true end

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
    if (t == "table" or t == "function") and not seen[value] and not known[value] then
      seen[value] = true
      pending[#pending + 1] = value
    end
  end
  visit(_G)
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
        lines[#lines + 1] = name .. " captures " .. n .. " = " .. raw(v)
        visit(v)
      end
    end
  end
  sort(lines)
  return concat(lines, "\n") .. "\n"
end
