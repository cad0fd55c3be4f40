-- What every random program finds: a fresh environment and functions that
-- print. `RUN(number, text)` runs one program of a batch.
local real, pack, unpack, fmt = _G, table.pack, table.unpack, string.format
local tostring, type, mathtype, select, pcall, load, concat = tostring, type, math.type, select, pcall, load, table.concat
local gsub, sub, byte, write = string.gsub, string.sub, string.byte, io.write
local debugless = string

local function text(s)
  if #s > 400 then s = #s .. ":" .. sub(s, 1, 400) end
  return (gsub(s, "[%c\128-\255]", function(c) return fmt("\\%d", byte(c)) end))
end

local function one(v)
  local k = mathtype(v) or type(v)
  if k == "integer" then return fmt("%d", v)
  elseif k == "float" then return v ~= v and "nan" or fmt("%.17g", v) .. "f"
  elseif k == "string" then return "'" .. text(v) .. "'"
  elseif k == "nil" or k == "boolean" then return tostring(v) end
  return k
end

local function show(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = one((select(i, ...))) end
  return concat(out, " ")
end

local function environment()
  local env = {}
  for k, v in next, real do
    if type(v) == "table" and v ~= real then
      local copy = {}
      for kk, vv in next, v do copy[kk] = vv end
      v = copy
    end
    env[k] = v
  end
  env._G = env
  env.show = show
  function env.P(...) write(show(...), "\n") end
  function env.E(f, ...) write(show(pcall(f, ...)), "\n") end
  -- compiles, and runs what compiles
  function env.L(source, ...)
    local f, message = load(source, "=s", "t", env)
    if f then write("ok ", show(pcall(f, ...)), "\n") else write(text(message), "\n") end
  end
  -- compiles only
  function env.C(source, name)
    local f, message = load(source, name or "=s", "t", env)
    write(f and "ok" or text(message), "\n")
  end
  -- a table's entries in a fixed order
  function env.T(t)
    local keys = {}
    for k, v in next, t do keys[#keys + 1] = one(k) .. "=" .. one(v) end
    table.sort(keys)
    write("{", concat(keys, ", "), "}\n")
  end
  -- hides from the compiler what a value is
  function env.K(...) return ... end
  return env
end

function RUN(number, source)
  write("@@@ ", number, "\n")
  local env = environment()
  local f, message = load(source, "=p", "t", env)
  if f then write("end ", show(pcall(f)), "\n") else write("syntax ", text(message), "\n") end
end
