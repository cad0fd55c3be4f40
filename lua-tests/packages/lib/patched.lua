-- Runs a script while every module it has required is replaced by code that does the same,
-- again and again: moonswap lib/patched.lua SCRIPT
--
-- The code is the module's own text with an empty block at the head of each function, so
-- that every function changes and no line moves. Which modules, how often, and what was
-- refused goes to the file named by PATCHED_LOG, for the script's output must not change.
local hot = require "moonswap"

-- The text with an empty block in each function, or only in those with a name in
-- their head; strings and comments are left alone.
local function equivalent(source, named)
  local out, at = {}, 1
  local function keep(to)
    out[#out + 1] = source:sub(at, to)
    at = to + 1
  end
  if source:sub(1, 1) == "#" then keep((source:find("\n", 1, true) or #source + 1) - 1) end
  while at <= #source do
    local c = source:sub(at, at)
    local level = source:match("^%[(=*)%[", at) or source:match("^%-%-%[(=*)%[", at)
    if level then
      local _, last = source:find("]" .. level .. "]", at, true)
      keep(last or #source)
    elseif source:find("^%-%-", at) then
      keep((source:find("\n", at, true) or #source + 1) - 1)
    elseif c == '"' or c == "'" then
      local last = at + 1
      while source:sub(last, last) ~= c do last = last + (source:sub(last, last) == "\\" and 2 or 1) end
      keep(last)
    elseif source:find("^%a", at) or c == "_" then
      local word, last = source:match("^([%w_]+)()", at)
      local pattern = named and "^function%s+[%a_][%w_%.:%s]*%b()" or "^function%s*[%w_%.:%s]*%b()"
      local head = word == "function" and select(2, source:find(pattern, at))
      keep(head or last - 1)
      if head then out[#out + 1] = " do local _ = nil end" end
    elseif source:find("^%d", at) then
      keep(source:match("^[%w_%.]+()", at) - 1)
    else
      keep(at)
    end
  end
  return table.concat(out)
end

local log <close> = assert(io.open(os.getenv "PATCHED_LOG" or "/dev/null", "w"))
local texts, patched = {}, {}

local function text_of(name)
  if texts[name] == nil then
    local path = package.searchpath(name, package.path)
    local file = path and io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    texts[name] = text and { chunk = "@" .. path, plain = text, changed = equivalent(text, false), named = equivalent(text, true) } or false
  end
  return texts[name]
end

-- Each time round all modules get the other of their two texts.
local round = 0
local function patch_all()
  round = round + 1
  local names = {}
  for name in pairs(package.loaded) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local text = name ~= "_G" and name ~= "show" and text_of(name)
    if text then
      local report, refused = hot.swapstring(text.chunk, round % 2 == 1 and text.changed or text.plain)
      -- several functions without names in one place cannot all change at once
      if not report and refused:find "P001" and round % 2 == 1 then
        report, refused = hot.swapstring(text.chunk, text.named)
      end
      local entry = patched[name] or { done = 0, refused = 0 }
      patched[name] = entry
      if report then entry.done = entry.done + 1
      else
        entry.refused, entry.why = entry.refused + 1, refused
      end
    end
  end
end

-- At each new module, and every so many calls from then on.
local real_require = require
function require(name)
  local fresh = package.loaded[name] == nil
  local results = table.pack(real_require(name))
  if fresh then patch_all() end
  return table.unpack(results, 1, results.n)
end
local calls, every = 0, tonumber(os.getenv "PATCHED_EVERY" or 2000)
debug.sethook(function()
  calls = calls + 1
  if calls % every == 0 and round < 40 then patch_all() end
end, "", 1000)

local function finish()
  debug.sethook()
  for name, entry in pairs(patched) do
    log:write(("%s done=%d refused=%d %s\n"):format(name, entry.done, entry.refused, tostring(entry.why or ""):gsub("\n.*", "")))
  end
  log:flush()
end
local real_exit = os.exit
function os.exit(...)
  finish()
  real_exit(...)
end
local chunk = assert(loadfile(arg[1]))
table.move(arg, 1, #arg + 1, 0)
chunk(table.unpack(arg))
finish()
