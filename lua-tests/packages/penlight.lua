-- needs: pl.utils pl.List pl.pretty
-- The modules that need no file system: containers, strings, sequences, functions.
local show = require "show"
local p, try = show.p, show.try
local List, Map, OrderedMap, Set, MultiMap = require "pl.List", require "pl.Map", require "pl.OrderedMap", require "pl.Set", require "pl.MultiMap"
local pretty, tablex, stringx, seq, class = require "pl.pretty", require "pl.tablex", require "pl.stringx", require "pl.seq", require "pl.class"
local func, operator, array2d, permute, types, utils = require "pl.func", require "pl.operator", require "pl.array2d", require "pl.permute", require "pl.types", require "pl.utils"

-- lists
local l = List { 10, 20, 30 }
p("list", l:append(40):extend { 50, 60 }:insert(1, 5), l:len(), l:index(30), l:contains(99), tostring(l))
p("list", l:slice(2, 4), l:slice(-2), l:pop(), l:pop(1), l:remove(2), l:reverse(), l:clone():clear())
p("list", List { 3, 1, 2 }:sort(), List { 3, 1, 2 }:sort ">", List { 3, 1, 2 }:sorted(function(a, b) return a > b end), l .. List { 1 }, List { 1, 2 } == List { 1, 2 })
p("list", List.range(1, 5), List.range(0, 1, 0.25), List.split("a b  c"), List.split("a,b,c", ","), List "xyz", List { 1, 2, 3 }:join "-")
p("list", List { 1, 2, 3, 4 }:filter(function(v) return v % 2 == 0 end), List { 1, 2, 3 }:map(operator.unm), List { 1, 2, 3 }:reduce "+", List { "a", "b" }:map2("..", { "x", "y" }))
p("list", List { 1, 2, 3, 4, 5 }:partition(function(v) return v > 2 end), List { { 1, 2 }, { 3, 4 } }:map(List), List.iterate { 1 } ~= nil, List { 1, 2, 1 }:count(1), List { 1, 2, 3, 4 }:chop(2, 3), List { 4, 1 }:minmax())
p("list", List { 1, 2, 3 }:put(0), List { 1, 2, 3, 4 }:splice(2, { 9, 9 }), List { 1, 2, 3 }:slice_assign(2, 3, { 7, 8 }), List { "x", "y" }:transform(string.upper), List { "a" }:concat(","))
try("list", List.remove_value, List { 1 }, 5)

-- maps
local m = Map { a = 1, b = 2 }
p("map", m:keys():sort(), m:values():sort(), m:items():sort(function(x, y) return x[1] < y[1] end), m:get "a", m:getvalues { "a", "b" }, m:setdefault("c", 3), m:len())
m:set("d", 4)
p("map", m, m == Map { a = 1, b = 2, c = 3, d = 4 })
local om = OrderedMap()
om:set("z", 1):set("a", 2)
om.m = 3
om:insert(1, "first", 0)
p("ordered", om:keys(), om:values(), tostring(om))
om:set("a", nil)
for k, v in om:iter() do p("ordered", k, v) end
for k, v in pairs(om) do p("pairs", k, v) end
local s1, s2 = Set { 1, 2, 3 }, Set { 2, 3, 4 }
local function sorted(s) return Set.values(s):sort() end
p("set", sorted(s1 + s2), sorted(s1 * s2), sorted(s1 - s2), sorted(s1 ^ s2), Set { 2 } < s1, Set.issubset(s1, s1), #s1, Set.isdisjoint(s1, Set { 9 }), Set.isempty(Set {}), s1 == Set { 3, 2, 1 }, tostring(Set { 5 }))
local mm = MultiMap()
mm:set("k", 1)
mm:set("k", 2)
p("multi", mm:get "k", tostring(mm))

-- classes
class.Animal()
function Animal:_init(name) self.name = name end
function Animal:__tostring() return self.name .. ": " .. self:speak() end
function Animal:speak() return "..." end
class.Dog(Animal)
function Dog:speak() return "bark" end
class.Cat(Animal)
function Cat:_init(name, breed)
  self:super(name)
  self.breed = breed
end
function Cat:speak() return "meow" end
function Cat.__eq(a, b) return a.name == b.name end
local fido, felix = Dog "Fido", Cat("Felix", "Tabby")
p("class", tostring(fido), tostring(felix), felix.breed, fido:is_a(Animal), fido:is_a(Cat), Dog:class_of(fido), Animal:class_of(felix), felix == Cat("Felix", "x"), felix:is_a() == Cat)
local Base = class { _init = function(self, n) self.n = n end, get = function(self) return self.n end }
local Derived = class { _base = Base, get2 = function(self) return self.n * 2 end }
p("class", Derived(4):get(), Derived(4):get2())
local Props = class(require "pl.class".properties)
function Props:_init() self._x = 1 end
function Props:get_double() return self._x * 2 end
function Props:set_double(v) self._x = v / 2 end
local pr = Props()
pr.double = 20
p("properties", pr.double, pr._x)
local Caught = class()
Caught:catch(function(_, name) return "no " .. name end)
p("catch", Caught().anything)

-- pretty
print(pretty.write { 1, 2, { 3 } })
print(pretty.write({ only = "one" }, ""))
print(pretty.write({ "a", "b", { "c", true } }, "    ", true))
p("read", pretty.read "{1, 'two', x = {3}}", pretty.read "{os.exit()}", pretty.read "while", pretty.load("x = 1; y = {x}", nil, true))
print(pretty.number(123456789, "N"), pretty.number(123456, "M", 1), pretty.number(1000000, "T"), pretty.number(5, "M"))
print(pretty.compare and "compare", pretty("text"), pretty(5), pretty({ 1 }))
print(pretty.write({ ["end"] = 1 }), pretty.write({ [5] = "five" }), pretty.write({ ["a\nb"] = "c\"d\\" }))
pretty.dump { 7, 8, { 9 } }

-- tables
p("tablex", tablex.map(function(v) return v * 2 end, { 1, 2, a = 3 }), tablex.imap("+", { 1, 2 }, 10), tablex.reduce("*", { 1, 2, 3, 4 }), tablex.filter({ 1, 2, 3 }, function(v) return v ~= 2 end), tablex.find({ 5, 6 }, 6), tablex.rfind({ 1, 1 }, 1), tablex.size { 1, a = 2 })
p("tablex", tablex.deepcompare({ 1, { 2, { x = 3 } } }, { 1, { 2, { x = 3 } } }), tablex.deepcompare({ 1.0 }, { 1.05 }, false, 0.1), tablex.compare({ 1, 2 }, { 1, 3 }, "=="), tablex.compare_no_order({ 1, 2 }, { 2, 1 }), tablex.zip({ 1, 2 }, { "a", "b" }), tablex.range(1, 10, 3))
p("tablex", tablex.merge({ a = 1, b = 2 }, { b = 3, c = 4 }), tablex.merge({ a = 1, b = 2 }, { b = 3, c = 4 }, true), tablex.difference({ a = 1, b = 2 }, { b = 1 }), tablex.union({ a = 1 }, { b = 2 }), tablex.intersection({ a = 1, b = 2 }, { b = 5 }), tablex.makeset { "x", "y" }, tablex.index_map { "p", "q" })
p("tablex", tablex.sub({ 1, 2, 3, 4 }, 2, 3), tablex.sub({ 1, 2, 3 }, -2), tablex.insertvalues({ 1, 4 }, 2, { 2, 3 }), tablex.removevalues({ 1, 2, 3, 4 }, 2, 3), tablex.icopy({ 1, 2, 3, 4 }, { 20, 30 }, 2, 1, 2), tablex.move({}, { 1, 2 }, 1, 1), tablex.new(3, 0), tablex.update({ a = 1 }, { b = 2 }), tablex.copy { 1, { 2 } }, tablex.deepcopy { 1, { 2, { 3 } } })
local order = {}
for k, v in tablex.sort({ c = 1, a = 3, b = 2 }) do order[#order + 1] = k .. v end
for k, v in tablex.sortv({ c = 1, a = 3, b = 2 }) do order[#order + 1] = k .. v end
p("tablex", order, tablex.readonly { 1 }[1], tablex.search({ a = { b = { c = 77 } } }, 77), tablex.foreachi({ 1 }, function() end))
try("readonly", function() tablex.readonly { 1 }[1] = 2 end)
try("bad", tablex.map, "no function at all", { 1 })
try("bad", tablex.deepcopy, 5)

-- strings
p("stringx", stringx.split "a b c", stringx.split("a,b,,c", ","), stringx.split("a,b,c", ",", 2), stringx.rstrip "x  ", stringx.strip "  x ", stringx.strip("--x--", "-"), stringx.lstrip("  y"), stringx.startswith("abc", "ab"), stringx.endswith("abc", { "x", "bc" }), stringx.startswith("abc", ""))
p("stringx", stringx.center("x", 5), stringx.center("x", 6, "*"), stringx.ljust("x", 3, "."), stringx.rjust("x", 3, "."), stringx.join(",", { 1, 2 }), stringx.partition("a=b=c", "="), stringx.rpartition("a=b=c", "="), stringx.count("banana", "an"), stringx.count("aaa", "aa", true), stringx.replace("a.b.c", ".", "-", 1), stringx.at("abc", 2), stringx.lines "a\nb\n" ~= nil)
p("stringx", stringx.isalpha "abc", stringx.isdigit "12a", stringx.isalnum "a1", stringx.isspace " \t", stringx.islower "abc", stringx.isupper "Abc", stringx.title "hello world it's", stringx.shorten("a long sentence", 10), stringx.shorten("a long sentence", 10, true), stringx.quote_string "two\nlines", stringx.expandtabs("a\tb", 4), stringx.lfind("banana", "an", 3), stringx.rfind("banana", "an"), stringx.splitlines "a\r\nb\nc", stringx.splitlines("a\nb", true))
p("stringx", stringx.indent("a\n b", 2, "."), stringx.dedent "   a\n     b\n   c", stringx.wrap("the quick brown fox jumps over the lazy dog", 15), stringx.fill("some words to be filled into short lines", 12, true), stringx.Template "$x and ${y} $$":substitute { x = 1, y = "two" }, stringx.Template "$q":safe_substitute {})
try("template", function() return stringx.Template "$q":substitute {} end)
stringx.import()
p("methods", ("a b"):split(), ("xyz"):startswith "x", ("q"):center(3, "_"))

-- sequences
p("seq", seq.copy(seq.range(1, 4)), seq.sum { 1, 2, 3 }, seq.copy(seq.map("#", { "a", "bbb" })), seq.copy(seq.filter(seq.list { 1, 2, 3, 4 }, operator.gt, 2)), seq.copy_tuples(seq.zip({ 1, 2 }, { "a", "b" })), seq.reduce("..", seq.list { "x", "y", "z" }), seq.copy(seq.splice({ 1 }, { 2 })), seq.copy(seq.take({ 1, 2, 3 }, 2)), seq.copy(seq.skip(seq.list { 1, 2, 3 }, 1)), seq.copy(seq.unique { 1, 2, 1 }), seq.minmax { 3, 1, 2 }, seq.count_map { "a", "b", "a" }, seq.copy_tuples(seq.enum { "p", "q" }))
p("seq", seq { 5, 6, 7 }:map(function(v) return v + 1 end):filter(function(v) return v > 6 end):copy(), seq { "a", "b" }:upper():copy(), seq.lines and true, seq.copy(seq.keys { only = 1 }), seq.tuples and true, seq.copy(seq.random(3, 1, 1)))

-- functions and placeholders
local _1, _2 = func._1, func._2
local I = func.I
p("func", I(_1 + _2)(1, 2), I(_1 * 2 + 1)(5), tablex.map(_1 .. "!", { "a", "b" }), tablex.map(_1.name, { { name = "n" } }), tostring(_1 + _2 * 3), func.bind(math.max, 5, _1)(9), func.bind1(operator.add, 10)(5), func.compose(math.abs, tonumber)("-4"), tostring(-_1 ^ 2), I(func.Not(func.Eq(_1, 2)))(3), func._E == nil)
p("operator", operator.add(1, 2), operator.mod(7, 3), operator.concat("a", "b"), operator.index({ 5 }, 1), operator.call(math.abs, -1), operator.len "abc", operator.land(1, nil), operator.table(1, 2), operator.optable["+"](3, 4), operator.unm(2), operator.eq(1, 1.0))
p("utils", utils.split("a:b", ":"), utils.splitv("1 2"), utils.escape "a.b", utils.string_lambda "|x,y| x*y" (3, 4), utils.bind1(math.max, 3)(2), utils.choose(false, 1, 2), utils.array_tostring { 1, true }, utils.pack(1, nil).n, utils.memoize(function(x) return x * x end)(3), utils.is_type({}, "table"), utils.npairs and select("#", utils.unpack { n = 3 }))
p("types", types.is_callable(print), types.is_indexable {}, types.is_iterable "x", types.is_writeable {}, types.to_bool "yes", types.to_bool("maybe"), types.is_empty "", types.is_empty(" ", true), types.type(List {}) == List, types.is_integer(2.0))
p("array2d", array2d.map("+", { { 1, 2 }, { 3, 4 } }, 10), array2d.reduce_cols("+", { { 1, 2 }, { 3, 4 } }), array2d.column({ { 1, 2 }, { 3, 4 } }, 2), array2d.product("..", { 1, 2 }, { "a", "b" }), array2d.flatten { { 1 }, { 2, 3 } }, array2d.slice({ { 1, 2, 3 }, { 4, 5, 6 } }, "A1:B2"), array2d.transpose { { 1, 2 }, { 3, 4 } }, array2d.reshape({ { 1, 2 }, { 3, 4 } }, 1), array2d.parse_range "B2:C5", array2d.swap_rows({ { 1 }, { 2 } }, 1, 2), array2d.size { { 1, 2 } }, array2d.new(2, 2, "x"), array2d.range({ { 1, 2 }, { 3, 4 } }, "B1:B2"))
local perms = {}
for a in permute.order_iter { 1, 2, 3 } do perms[#perms + 1] = table.concat(a) end
p("permute", perms)
