-- Every function of the libraries with arguments that it does not take: which one is
-- told of first, and how.
-- Builds with the compatible library have a second name for `math.atan`. Which of the two a
-- message names is chance.
math.atan2 = nil
local quiet = {}
for name in ([[
  dofile loadfile print require warn collectgarbage debug.debug debug.sethook debug.setmetatable
  debug.traceback io.close io.input io.lines io.output io.popen io.read io.tmpfile io.write os.clock
  os.date os.execute os.exit os.getenv os.remove os.rename os.setlocale os.time os.tmpname
  package.loadlib math.random math.randomseed coroutine.running coroutine.yield error table.remove
  math.cosh math.frexp math.ldexp math.log10 math.pow math.sinh math.tanh
]]):gmatch "%S+" do
  quiet[name] = true
end
local function try(name, f, n, value)
  local arguments = {}
  for i = 1, n do arguments[i] = value end
  local done, message = pcall(f, table.unpack(arguments, 1, n))
  local told = done and "-" or tostring(message):gsub("0x%x+", "address")
  print(name, n, type(value), told)
end
local libraries = { "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8", "_G" }
for _, library in ipairs(libraries) do
  local names = {}
  for name, f in pairs(_G[library]) do
    if type(f) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local full = library == "_G" and name or library .. "." .. name
    if not quiet[full] then
      local f = _G[library][name]
      try(full, f, 0)
      for _, value in ipairs { {}, true, "x", 1.5, type } do
        for n = 1, 4 do try(full, f, n, value) end
      end
    end
  end
end
