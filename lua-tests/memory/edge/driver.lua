-- Every library function at the edge of the memory limit: it does what it does
-- elsewhere, or raises "not enough memory"; never does it answer anything else.
-- Prints what the process has at the start, and its peak, which must stay near the
-- limit.
-- The argument says which library ("base": the globals, "file": methods of files).
local chosen = ...
local cases = assert(loadfile "edge/cases.lua")()

-- Each function has a case, or the case says why not.
local missing = {}
local function walk(prefix, functions)
  for name, value in pairs(functions) do
    name = prefix .. tostring(name)
    if type(value) == "function" and cases[name] == nil then missing[#missing + 1] = name end
  end
end
walk("", _G)
for _, library in ipairs { "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" } do
  walk(library .. ".", _G[library])
end
walk("file:", getmetatable(io.stdout).__index)
walk("moonswap.", require "moonswap")
table.sort(missing)
assert(#missing == 0, "no case for " .. table.concat(missing, ", "))

-- What can be said of results without much memory.
local function digest(results)
  local all = {}
  for i = 1, results.n do
    local value = results[i]
    local kind = math.type(value) or type(value)
    if kind == "string" then
      local sum = 0
      for at = 1, #value, 997 do sum = sum * 31 + value:byte(at) & 0xffffffff end
      kind = "string " .. #value .. " " .. sum
    elseif kind == "table" then
      kind = "table " .. #value
    elseif kind == "boolean" or kind == "integer" or kind == "float" then
      kind = tostring(value)
    end
    all[i] = kind
  end
  return table.concat(all, ", ")
end

-- Takes all the memory there is but about `leave` bytes.
local function fill(leave)
  local kept, n, from = {}, 0, 1
  local function grow()
    while true do
      kept[n + 1] = ("x"):rep(3000) .. n
      n = n + 1
    end
  end
  local function let_go() for i = n, from, -1 do kept[i] = nil end end
  -- The call after a failure collects, and fails again if that does not make room.
  pcall(function()
    pcall(grow)
    math.abs(0)
  end)
  -- At the very edge this may fail as well: then a little more is let go of.
  from = math.max(1, n - leave // 3000)
  while not pcall(let_go) do from = math.max(1, from - 10) end
  return kept
end

local names = {}
for name, case in pairs(cases) do
  local library = name:match "^(%a+%d?)[.:]" or "base"
  if type(case) == "function" and library == chosen then names[#names + 1] = name end
end
table.sort(names)
local function status(key)
  local f <close> = assert(io.open("/proc/self/status"))
  return tonumber(f:read("a"):match(key .. ":%s*(%d+)"))
end
local failed, n_failures, n_done = 0, 0, 0
local before = status "VmHWM"
print("start " .. before)
for _, name in ipairs(names) do
  local case = cases[name]
  local function attempt() return table.pack(case()) end
  local usual = digest(attempt())
  for _, leave in ipairs { 0, 20000, 300000, 2000000 } do
    collectgarbage()
    local kept = fill(leave)
    local ok, results = pcall(attempt)
    kept = nil
    collectgarbage()
    n_done = n_done + 1
    -- `load` and `loadfile` answer their errors
    if ok and results[1] == nil and results[2] == "not enough memory" then
      ok, results = false, results[2]
    end
    if not ok then
      failed = failed + 1
      if results ~= "not enough memory" then
        print("bad error", name, leave, results)
        n_failures = n_failures + 1
      end
    elseif digest(results) ~= usual then
      print("another result", name, leave, usual, digest(results))
      n_failures = n_failures + 1
    end
    local now = status "VmHWM"
    if now > before + 256 then print("peak grew", name, leave, now - before) end
    before = now
  end
end
print(#names .. " functions, " .. n_done .. " calls, " .. failed .. " of them without memory")
assert(n_failures == 0, n_failures)
assert(failed > #names // 2, failed)
print("peak " .. status "VmHWM")
