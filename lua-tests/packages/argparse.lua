-- needs: argparse
-- Parsers with every kind of element; help, usage, errors and completion scripts.
local argparse = require "argparse"
local show = require "show"
local p, try = show.p, show.try

local function make()
  local parser = argparse("tool", "A tool with many options.", "See the manual for more.")
    :add_help { "-h --help", description = "Show this text." }
    :help_max_width(76)
  parser:argument("input", "Input file."):default "-"
  parser:argument "rest":args "*":convert(tonumber):description "Numbers."
  parser:option("-o --output", "Output file.", "a.out")
  parser:option("-I --include", "Include locations."):count "*"
  parser:option("-l --level", "Level."):choices { "low", "mid", "high" }:default "mid"
  parser:option "--pair":args(2):argname { "<key>", "<value>" }:count "*":description "A pair."
  parser:option "--maybe":args "?":default "d":defmode "arg"
  parser:option "--num":convert { one = 1, two = 2 }:description "A numeral in words, one or two, whose text goes on until it must be broken."
  parser:option("-D"):action(function(result, name, value)
    local k, v = value:match "^(.-)=(.*)$"
    result.defines = result.defines or {}
    result.defines[k or value] = v or true
  end):description "Define."
  parser:flag("-v --verbose", "Verbosity."):count "0-3":target "verbosity"
  parser:flag "--no-x":action "store_false":target "x":init(true)
  parser:mutex(parser:flag("-q --quiet"), parser:flag "--loud")
  parser:group("Hidden things", parser:option("--hidden"):hidden(true), parser:flag "--shown")
  return parser
end

print(make():get_usage())
print(make():get_help())
local function parse(parser, ...)
  local ok, result = parser:pparse { ... }
  p("parse " .. table.concat({ ... }, " "), ok, result)
end
parse(make())
parse(make(), "file")
parse(make(), "file", "1", "2", "0x10")
parse(make(), "file", "one")
parse(make(), "-o", "out", "--include", "a", "-Ib", "-I", "c", "file")
parse(make(), "-ofile", "--output=again")
parse(make(), "-vv", "--no-x", "f")
parse(make(), "-vvvv")
parse(make(), "--level", "low")
parse(make(), "--level=hihg")
parse(make(), "--pair", "k", "v", "--pair", "k2", "v2")
parse(make(), "--pair", "k")
parse(make(), "--maybe")
parse(make(), "--maybe", "x")
parse(make(), "--num", "two")
parse(make(), "--num", "three")
parse(make(), "-Da=1", "-D", "b", "-D", "c=")
parse(make(), "-q", "--loud")
parse(make(), "--outptu", "x")
parse(make(), "-z")
parse(make(), "--", "-o", "5")
parse(make(), "--verbose=3")
parse(make(), "--output")
parse(make(), "--quiet", "--hidden", "h", "--shown")

-- commands within commands
local function git()
  local parser = argparse "git":command_target "command":require_command(true)
  parser:flag "--version":action(function() print "version 1" end)
  local add = parser:command("add a", "Add files."):summary "Add."
  add:argument "files":args "+"
  add:flag "-f --force"
  local remote = parser:command "remote":require_command(false):command_target "sub"
  remote:command "add":argument "name"
  local drop = remote:command "drop"
  drop:argument "name"
  drop:option "--times":convert(math.tointeger or tonumber)
  parser:command "secret":hidden(true)
  parser:add_help_command()
  parser:add_complete()
  return parser
end
print(git():get_help())
parse(git(), "add", "x", "y", "-f")
parse(git(), "a", "x")
parse(git(), "add")
parse(git())
parse(git(), "remote")
parse(git(), "remote", "add", "origin")
parse(git(), "remote", "drop", "o", "--times", "x")
parse(git(), "remtoe")
parse(git(), "secret")
print(git():get_bash_complete())
print(git():get_zsh_complete())
print(git():get_fish_complete())
print(make():get_bash_complete())
print(make():get_fish_complete())

-- settings of the help text
local styled = argparse "styled":usage_margin(2):usage_max_width(30):help_usage_margin(2):help_description_margin(16):help_vertical_space(1)
styled:option "--first":description "the first"
styled:option "--second":description "the second\nwith two lines\n * and a list\n   going on"
styled:option "--third":description(("word "):rep(30))
styled:argument "many":args "1-3"
styled:argument "exact":args(2)
styled:epilog "The end."
print(styled:get_usage())
print(styled:get_help())
parse(styled, "1", "2", "3")
parse(styled, "1", "2", "3", "4", "5", "6")
parse(styled, "1", "2")

-- actions, types and mistakes
for _, action in ipairs { "store", "store_true", "store_false", "count", "append", "concat" } do
  local parser = argparse "a"
  local ok, why = pcall(function()
    parser:option "-x":action(action):count "*":args(action:find "store_" and 0 or action == "count" and 0 or action == "concat" and "1-2" or 1)
  end)
  if ok then parse(parser, "-x", "1", "-x", "2") else print(action, ok) end
end
try("bad property", function() argparse "p":option "-x":count "nonsense" end)
try("bad args", function() argparse "p":argument "a":args {} end)
try("bad name", function() argparse(5 == 5 and {} or 1) end)
local parser = argparse "typo"
parser:option "--configuration"
parser:option "--concurrency"
parse(parser, "--configuratoin", "x")
parse(parser, "--conf", "x")
