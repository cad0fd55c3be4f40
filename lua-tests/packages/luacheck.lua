-- needs: luacheck luacheck.format argparse inspect dkjson
-- The checker's library run over its own sources, over other packages and over
-- made-up mistakes; every report and its formatted text is printed.
local luacheck = require "luacheck"
local format = require "luacheck.format"
local show = require "show"
local p, try = show.p, show.try
print(luacheck._VERSION)

local function module_text(name)
  local path = assert(package.searchpath(name, package.path))
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function print_report(label, source, options)
  local report = luacheck.check_strings({ source }, options)
  print(label, report.warnings, report.errors, report.fatals)
  for _, event in ipairs(report[1]) do
    print("", event.line, event.column, event.end_column, event.code, luacheck.get_message(event))
  end
  return report
end

local mistakes = {
  "local x = 1",
  "local x = 1; x = 2; x = 3",
  "y = 1; print(z)",
  "local a; local a; print(a)",
  "local function f(a, b, ...) return a end f()",
  "for i = 1, 10 do local i = i end",
  "if x then else end while true do end",
  "return 1, 2 print(3)",
  "do return end print 'unreachable'",
  "while true do break end goto out ::out:: ::never::",
  "local t = {a = 1, b = 2, a = 3, 1, [1] = 2} return t",
  "local s <const> = 5; s = 6",
  "local f <close> = nil",
  "for k, v in pairs({}) do end",
  "local a, b, c = 1, 2 print(a, b, c) a, b = 1, 2, 3",
  "string.foo = 1; print(string.bar, _G.undefined_thing, _ENV.x)",
  "print(not a == b, not a < b)",
  "local x = x or {} ; x.y.z = 1",
  "local  trailing = 1   \n\t  mixed = 2 \n" .. ("long"):rep(40) .. " = 1",
  "function m.f(self) end function n:g() end",
  "local function rec() return rec() end",
  "x = = 1",
  "local 1",
  "return (",
  "print('unfinished",
  "print('\\q \\400 \\u{110000000}')",
  "x = 0x; y = 1e; z = 3..4",
  "--[[ never ends",
  "goto nowhere",
  "break",
  "for i = 1 do end",
  "if x then elseif then end",
  "::a:: ::a::",
  "-- luacheck: ignore 113\nprint(unknown)\n-- luacheck: push\n-- luacheck: globals known\nknown = 1\n-- luacheck: pop\nknown = 2",
  "-- luacheck: nonsense\nlocal x",
  "for i = #t, 1 do end",
  "a = a; if a == a then end",
  "local x = 1 do local x = 2 local function x() end end",
  "local a = {} a.b = 1",
  "return function(...) local a, b = ... return a end, ...",
}
for i, source in ipairs(mistakes) do print_report("mistake " .. i, source) end

-- the same under options
for _, options in ipairs {
  { std = "lua51" }, { std = "max" }, { std = "none" }, { std = "lua54+busted" }, { std = "min", new_globals = { "x", "y" } }, { unused = false }, { redefined = false },
  { global = false }, { only = { "1" } }, { ignore = { "11.", "6.*" } }, { enable = { "21" }, ignore = { "." } }, { allow_defined = true }, { allow_defined_top = true },
  { module = true }, { max_line_length = 20 }, { max_code_line_length = false, max_string_line_length = 10 }, { max_cyclomatic_complexity = 2 },
  { read_globals = { "print", "string" }, not_globals = { "pairs" } }, { unused_args = false, unused_secondaries = false, self = false }, { compat = true }, { inline = false },
} do
  local report = luacheck.check_strings(mistakes, options)
  local counts = {}
  for _, file in ipairs(report) do
    for _, event in ipairs(file) do counts[event.code] = (counts[event.code] or 0) + 1 end
  end
  p("options", options, report.warnings, report.errors, report.fatals)
  p("", counts)
end
try("bad option", luacheck.check_strings, { "" }, { std = "nonsense" })
try("bad option", luacheck.check_strings, { "" }, { unused = "yes" })
try("bad source", luacheck.check_strings, "text")
try("bad source", luacheck.get_report, 5)

-- real sources
local modules = {
  "luacheck.lexer", "luacheck.parser", "luacheck.check", "luacheck.format", "luacheck.standards", "luacheck.utils", "luacheck.filter", "luacheck.options",
  "luacheck.stages.linearize", "luacheck.stages.resolve_locals", "luacheck.stages.detect_globals", "luacheck.decoder", "argparse", "inspect", "dkjson",
}
for _, name in ipairs(modules) do
  local source = module_text(name)
  print_report(name, source, { std = "lua51" })
  local report = luacheck.get_report(source)
  local lengths = 0
  for _, length in ipairs(report.line_lengths) do lengths = lengths + length end
  print("", #report.warnings, #report.line_lengths, lengths)
end
for _, cut in ipairs { 100, 1000, 5000, 12345 } do print_report("cut at " .. cut, module_text "argparse":sub(1, cut)) end
for _, script in ipairs { "luacheck.lua", "moses.lua", "luaunit.lua", "lib/show.lua" } do
  local file <close> = assert(io.open(script, "rb"))
  print_report(script, file:read "a", { std = "lua54" })
end

-- formatted
local names, sources = {}, {}
for i = 1, 12 do names[i], sources[i] = "file" .. i .. ".lua", mistakes[i * 3] end
local report = luacheck.check_strings(sources, { max_line_length = 40 })
for _, form in ipairs { "plain", "default", "TAP", "JUnit", "visual_studio" } do
  for quiet = 0, 3 do
    print(form, quiet)
    print(format.format(report, names, { formatter = form, quiet = quiet, color = false, codes = true, ranges = quiet == 1 }))
  end
end
print(format.format(report, names, { formatter = "default", color = true }))
