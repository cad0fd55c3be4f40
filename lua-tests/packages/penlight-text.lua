-- needs: pl.utils pl.template pl.lexer
-- The modules that read and make text: templates, data, command lines, patterns,
-- XML, comprehensions, lexer, dates, configuration.
local show = require "show"
local p, try = show.p, show.try
local template, data, lapp, sip, xml = require "pl.template", require "pl.data", require "pl.lapp", require "pl.sip", require "pl.xml"
local comprehension, lexer, Date, config, stringio = require "pl.comprehension", require "pl.lexer", require "pl.Date", require "pl.config", require "pl.stringio"
local text, input, url, balanced = require "pl.text", require "pl.input", require "pl.url", require "pl.luabalanced"
local strict, List, utils = require "pl.strict", require "pl.List", require "pl.utils"

-- templates
local environment = { ipairs = ipairs, pairs = pairs, T = { "one", "two", "three" }, upper = string.upper, _escape = "#" }
print(template.substitute([[
<ul>
# for i, v in ipairs(T) do
<li>$(i) = $(upper(v)) $(i * 2 + 1)</li>
# end
</ul>
# if #T > 2 then
many
# else
few
# end
$$5 $(("x"):rep(3))]], environment))
print(template.substitute("> for i = 1, 3 do\n<%(i)>\n> end\n", { _escape = ">", _brackets = "<>" }))
local compiled = template.compile("# for i = 1, n do\nrow $(i) of $(n)\n# end\n", { chunk_name = "t" })
print(compiled:render { n = 3 })
print(compiled:render({ n = 1 }))
for _, bad in ipairs { "# for do\n", "$(nothing.at.all)" } do
  local result, why = template.substitute(bad, {})
  p("template", result, (why:gsub("\nstack traceback.*", "")))
end
print((template.substitute("# local function greet(name)\nHello $(name)!\n# end\n# greet 'A' greet 'B'\n", {})))

-- data
local function read(text, cnfg) return data.read(stringio.open(text), cnfg) end
local d = read "x y name\n1 2 first\n3 4.5 second\n-5 6e2 third\n"
p("data", d.fieldnames, d:column_by_name "y", #d, d[2])
p("csv", read('a,b,c\n1,"two, three",x\n4,,"y ""z"""\n', { csv = true }))
p("query", select("#", d:select "x,name where x > 0"))
for x, name in d:select "x,name where y < 100" do p("select", x, name) end
local out = stringio.create()
data.write({ { 1, 2 }, { "a", "b,c" } }, out, { "h1", "h2" }, ",")
p("written", out:value())
local copy = data.new { { 1, 10 }, { 2, 20 }, fieldnames = { "k", "v" } }
p("new", copy:column_by_name "v", copy:select "v where k == 2" ())

-- command lines
local script = [[
A tool for testing
  -o, --output (default "out.txt") where to write
  -n, --number (number) how many
  -r, --ratio (0..1 default 0.5) between
  -f, --flag a switch
  -l, --list... (string default "x") many of them
  -m, --mode (one|two|three default two) a choice
  --long-only (default 5) no short name
  <input> (string) the input
  <rest...> (default "none") the others
]]
lapp.slack = false
for _, arguments in ipairs {
  { "-n", "5", "in.txt" }, { "--number", "7", "-f", "in", "a", "b" }, { "-n5", "-ofile", "x" }, { "-n", "1", "-m", "three", "-r", "0.25", "y" },
  { "--number=3", "--long-only=9", "z" }, { "-n", "2", "-l", "p", "-l", "q", "in" },
} do p("lapp " .. table.concat(arguments, " "), lapp.process_options_string(script, arguments)) end
lapp.show_usage_error = "throw"
for _, arguments in ipairs { { "-n", "x", "in" }, { "in" }, { "-n", "1" }, { "-q", "in" }, { "-n", "1", "-r", "5", "in" }, { "-n", "1", "-m", "four", "in" } } do
  try("lapp " .. table.concat(arguments, " "), lapp.process_options_string, script, arguments)
end

-- simple patterns
for _, case in ipairs {
  { "$v{name} = $d{value}", "x = 42" }, { "$r{a},$r{b}", "1,2,3" }, { "($f{x} , $f{y})", "(1.5 , -2e3)" }, { "$p{path}:$i{line}", "/usr/lib/x.lua:12" },
  { "$q{text} $S{rest}", "'quoted text' word" }, { "$v $d", "name 5" }, { "$({args})", "(a, (b, c))" }, { "no match $d{n}", "nothing" }, { "$i{d}/$i{m}/$i{y}", "24/12/2020" },
} do
  local result = {}
  local match, why = sip.compile(case[1])
  p("sip " .. case[1], match and match(case[2], result), result, why)
end
p("sip", sip.create_pattern "$v{a}=$q{b}")
local matcher = sip.pattern("$v{key}: $d{n}", function(found) p("sip pattern", found) end)
p("sip", type(matcher))

-- XML
local doc = xml.parse([[<?xml version="1.0"?><!-- c --><root b='two &amp; 3'><item>text &lt;here&gt;</item><item n="2"/><deep><er><est x="y">!</est></er></deep></root>]], false, true)
print(doc)
print(xml.tostring(doc, "", "  "))
p("xml", doc.tag, doc.attr, doc:child_with_name "item":get_text(), doc:get_elements_with_name "est"[1].attr.x, #doc:get_elements_with_name "item")
for child in doc:childtags() do p("child", child.tag) end
xml.walk(doc, true, function(tag, node) p("walk", tag, #node) end)
local made = xml.new("order", { id = "5" }):addtag("line", { n = "1" }):text "a & b":up():addtag "line":text("c"):reset()
print(made)
local children = xml.elem("ul", { xml.elem("li", "one"), xml.elem("li", { class = "x", "two" }) })
print(children)
print(xml.clone(made) == made, xml.compare(made, xml.clone(made)), xml.is_tag(made))
local pattern = xml.parse("<order><line>$what</line></order>", false, true)
p("html", tostring(xml.parsehtml "<p>one<br>two <b>x</b> <img src=a.png></p>"))
for _, bad in ipairs { "<a><b></a>", "<a", "", "<a></a><b>" } do try("xml " .. bad, xml.parse, bad, false, true) end
p("match", doc:match(xml.parse("<root><item>$t</item></root>", false, true)))

-- comprehensions
local C = comprehension.new()
p("comprehension", C "x for x = 1, 5" (), C "x ^ 2 for x" { 1, 2, 3 }, C "{x, y} for x = 1, 2 for y = x, 3" (), C "x for x if x % 2 == 0" { 1, 2, 3, 4 }, C "sum(x for x)" { 1, 2, 3 }, C "max(#x for x)" { "a", "abc" })
p("comprehension", C "table(x, x * 2 for x)" { 1, 2 }, C "(x + _2) for x in ipairs(_1)" ({ 1, 2 }, 10), C "list(y for x, y in pairs(_1))" { 7 }, C "x .. y for x for y" ({ "a", "b" }, { "1", "2" }))
try("comprehension", C, "x for")
try("comprehension", C, "x from y")

-- lexers
local function tokens(source, scan, ...)
  local found = {}
  for kind, value in scan(source, ...) do found[#found + 1] = kind .. ":" .. tostring(value) end
  return table.concat(found, " ")
end
print(tokens("local x = 10 -- note\nprint('hi', 0x1F, 1.5e-3, [[long]]) goto a", lexer.lua))
print(tokens("int main() { return 1 << 2; /* c */ \"s\" 'c' 3.14f }", lexer.cpp))
print(tokens("alpha = sin(1) >= 'q' # 42", lexer.scan))
print(tokens("a b  c 5", lexer.scan, nil, { space = false }))
local scanner = lexer.lua "f(a, {b, c}, g(1, 2)), more"
p("lexer", scanner(), scanner(), #lexer.get_separated_list(scanner), lexer.lineno(lexer.lua "x\ny"))
p("balanced", balanced.match_bracketed("(a (b) 'x)' ) rest", 1), balanced.match_string([['it''s' x]], 1), balanced.match_expression("a + b(c, {d}) , next", 1), balanced.match_namelist("a, b, c = 1", 1), balanced.match_explist("a + 1, f(x)) y", 1))

-- dates
local day = Date { year = 2024, month = 2, day = 28, hour = 12, min = 30, sec = 5 }
p("date", tostring(day:year()), day:month(), day:day(), day:add { day = 2 }:day(), day:month(), day:is_weekend(), day:weekday_name(), day:month_name(), day:last_day():day())
local format = Date.Format "yyyy-mm-dd HH:MM:SS"
p("format", format:tostring(Date { year = 1999, month = 12, day = 31, hour = 23, min = 59, sec = 58 }), format:parse "2001-02-03 04:05:06":hour(), (Date.Format "dd/mm/yy"):parse("nonsense"))
local span = Date { year = 2020, month = 3, day = 1, hour = 12 } - Date { year = 2020, month = 2, day = 1, hour = 12 }
p("interval", tostring(span))
p("compare", Date { year = 2020, month = 1, day = 1 } < Date { year = 2021, month = 1, day = 1 }, Date { year = 2020, month = 1, day = 1 } == Date { year = 2020, month = 1, day = 1 })

-- configuration
p("config", config.read(stringio.open "# comment\nname = value\nlist = 1,2,3\nnumber = 1e3\nflag = true\n[section]\nkey=a b\n[other section]\nx-y = 5\n"))
p("config", config.read(stringio.open "a:b\nc:d:e\n", { keysep = ":", list_delim = ";" }), config.read(stringio.open "A = 1\n", { convert_numbers = false, variabilize = true }))
p("config", config.read(stringio.open "root:x:0:0\nuser:x:1000:100\n", { list_delim = ":" }))

-- text, input, url, string streams
p("text", text.dedent "    one\n      two\n", text.wrap(("word "):rep(20), 30), text.fill("a b c d e f", 5), text.Template "$a-$b":substitute { a = 1, b = 2 }, text.indent("x\ny", 4))
text.format_operator()
p("format", "%s = %d" % { "x", 5 }, "$who" % { who = "me" }, "%5.2f" % 1.234)
local numbers = {}
for a, b in input.fields({ 1, 3 }, ",", stringio.open "1,2,3\n4,5,6\n") do numbers[#numbers + 1] = a * 10 + b end
for n in input.numbers(stringio.open "10 20\n30") do numbers[#numbers + 1] = n end
for word in input.words(stringio.open "two words") do numbers[#numbers + 1] = word end
p("input", numbers)
p("url", url.quote "a b&c/d?é", url.quote("a b", true), url.unquote "a%20b+c%2Fd", url.unquote(url.quote "100% sure"))
local stream = stringio.open "line one\nline two\n42 0x10 rest"
p("stringio", stream:read(), stream:read "*l", stream:read("*n", "*n"), stream:read "*a", stream:read(), stream:seek("set", 5), stream:read(3))
for line in stringio.open("a\nb"):lines() do p("line", line) end

-- strict globals
local module = strict.module("m", { known = 1 })
try("strict", function() return module.unknown end)
try("strict", function() module.known = 2 return module.known end)
local guarded = strict.make_all_strict and true
p("strict", guarded)
