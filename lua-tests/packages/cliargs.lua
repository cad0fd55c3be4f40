-- needs: cliargs
-- Interfaces of every kind; the parser is thrown away after use, so each case makes a new one.
local show = require "show"
local p, try = show.p, show.try

local function fresh()
  for name in pairs(package.loaded) do
    if name:match "^cliargs" then package.loaded[name] = nil end
  end
  return require "cliargs"
end

local function builder(cli)
  cli:set_name "tool.lua"
  cli:set_description "A tool that does things to files, with a description long enough to be broken."
  cli:argument("INPUT", "the file to read")
  cli:argument("OUTPUT", "the file to write")
  cli:splat("MORE", "further files", "none", 3)
  cli:option("-c, --compress=LEVEL", "how hard to try", "6")
  cli:option("-o FILE", "a log file", "log.txt")
  cli:option("--long-only=VALUE", "an option without a short name; its text is so long that the help has to break it into several lines of the column")
  cli:option("--item=ITEM", "may be given many times", {})
  cli:flag("-v, --verbose", "say more")
  cli:flag("-q", "say less")
  cli:flag("--[no-]color", "use colours", true)
  return cli
end

print(builder(fresh()):get_usage_message())
print(builder(fresh()):print_help())
do
  local cli = builder(fresh())
  cli:set_colsz(40, 60)
  print(cli:print_help())
end

local cases = {
  { "in", "out" },
  { "in", "out", "-c", "9", "-v" },
  { "--compress=3", "in", "out", "m1", "m2" },
  { "-c5", "in", "out" },
  { "--compress", "7", "in", "out", "--verbose" },
  { "in", "out", "a", "b", "c" },
  { "in", "out", "a", "b", "c", "d" },
  { "-v", "-q", "in", "out" },
  { "--no-color", "in", "out" },
  { "--color", "in", "out" },
  { "--item=1", "--item=2", "--item", "3", "in", "out" },
  { "in", "out", "-o", "x.log", "--long-only=v=w" },
  { "in", "--", "-out" },
  { "in" },
  {},
  { "--nonsense", "in", "out" },
  { "-z", "in", "out" },
  { "in", "out", "-c" },
  { "--verbose=yes", "in", "out" },
  { "--compress=", "in", "out" },
  { "--help" },
  { "-h" },
}
for _, arguments in ipairs(cases) do
  local results, message = builder(fresh()):parse(arguments)
  p("parse " .. table.concat(arguments, " "), results, message)
end

-- callbacks, and their refusals
local called = {}
local function note(key, value, alternative) called[#called + 1] = { key, value, alternative } end
for _, arguments in ipairs { { "8" }, { "--port=70000", "8" }, { "--port=80", "8", "-x" }, { "eight" } } do
  local cli = fresh()
  cli:argument("N", "a number", function(_, value)
    if not tonumber(value) then return nil, "not a number: " .. value end
  end)
  cli:option("--port=N", "a port", "1", function(_, value)
    if tonumber(value) > 65535 then return false, "port too big" end
    note("port", value)
  end)
  cli:flag("-x, --extra", "more", false, note)
  called = {}
  local results, message = cli:parse(arguments)
  p("callbacks", results, message, called)
end

-- commands
for _, arguments in ipairs { { "add", "5", "-f" }, { "drop" }, { "list", "x" }, { "add" }, { "--verbose", "add", "5" } } do
  local cli = fresh()
  cli:set_name "store"
  cli:flag("--verbose", "say more")
  local add = cli:command("add", "put something in")
  add:argument("WHAT", "what to put in")
  add:flag("-f, --force", "even if there")
  add:action(function(options) note("add", options.WHAT, options.force) end)
  cli:command("drop", "take all out"):action(function() return nil, "drop refuses" end)
  called = {}
  local results, message = cli:parse(arguments)
  p("command " .. table.concat(arguments, " "), results, message, called)
end

-- defaults
do
  local cli = builder(fresh())
  try("redefine", cli.redefine_default, cli, "compress", "1")
  try("redefine", cli.redefine_default, cli, "nothing", "1")
  try("load", cli.load_defaults, cli, { o = "other.log", verbose = true })
  try("load strict", cli.load_defaults, cli, { unknown = 1 }, true)
  p("defaults", cli:parse { "in", "out" })
end

-- mistakes of the programmer
try("no key", function() fresh():argument() end)
try("key", function() fresh():argument(5, "text") end)
try("no text", function() fresh():argument "X" end)
try("option", function() fresh():option("", "text") end)
try("option text", function() fresh():option("-x", 5) end)
try("twice", function()
  local cli = fresh()
  cli:flag("-x", "one")
  cli:flag("-x", "two")
end)
try("two splats", function()
  local cli = fresh()
  cli:splat("A", "one")
  cli:splat("B", "two")
end)
try("maxcount", function() fresh():splat("A", "one", nil, 0) end)
try("flag with value", function() fresh():flag("-x, --ex=VALUE", "no") end)
