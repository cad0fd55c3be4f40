-- needs: moses
-- Most functions of the library, chained and alone.
local M = require "moses"
local show = require "show"
local p, try = show.p, show.try
print(M._VERSION)

local list, map = { 5, 3, 8, 1, 9, 2 }, { a = 1, b = 2, c = 3 }
local function even(v) return v % 2 == 0 end
local function double(v) return v * 2 end
local function add(a, b) return a + b end

-- tables
local seen = {}
M.each(map, function(v, k) seen[#seen + 1] = k .. v end)
table.sort(seen)
p("each", seen)
seen = {}
M.eachi({ 10, 20, 30, x = 1 }, function(v, i) seen[#seen + 1] = v + i end)
p("eachi", seen)
p("at", M.at({ "x", "y", "z" }, 3, 1))
p("adjust", M.adjust({ 1, 2, 3 }, 2, double), M.adjust({ x = 1 }, "x", 7))
try("adjust", M.adjust, { 1 }, 5, double)
p("count", M.count({ 1, 1, 2, 3, 1 }, 1), M.countf(list, even), M.count({ 1, 2, 3 }))
p("allEqual", M.allEqual { 1, 1, 1 }, M.allEqual { 1, 2 }, M.allEqual({ 1, 3, 5 }, function(a, b) return a % 2 == b % 2 end))
seen = {}
for v, k in M.cycle({ "p", "q" }, 2) do seen[#seen + 1] = v .. k end
p("cycle", seen)
p("map", M.map(list, double), M.map(map, function(v, k) return k .. "!", v * 10 end))
p("mapi", M.mapi and M.mapi({ 1, 2 }, double))
p("reduce", M.reduce(list, add), M.reduce(list, add, 100), M.reduce({ "a", "b" }, function(m, v) return m .. v end, ">"))
p("best", M.best({ "ab", "abcd", "abc" }, function(a, b) return #a > #b end))
p("reduceBy", M.reduceBy({ 1, 2, 3, 4 }, add, even))
p("reduceRight", M.reduceRight({ 256, 2, 4, 2 }, function(m, v) return m / v end))
p("mapReduce", M.mapReduce({ "a", "b", "c" }, function(m, v) return m .. v end))
p("mapReduceRight", M.mapReduceRight({ "a", "b", "c" }, function(m, v) return m .. v end))
p("include", M.include(list, 8), M.include(list, function(v) return v > 10 end))
p("detect", M.detect(list, 9), M.detect(list, function(v) return v == 2 end), M.detect(list, 77))
local people = { { name = "A", age = 30, city = "X" }, { name = "B", age = 25, city = "Y" }, { name = "C", age = 30, city = "Y" } }
p("where", M.where(people, { age = 30 }), M.findWhere(people, { city = "Y" }), M.where(people, { age = 99 }))
p("select", M.select(list, even), M.reject(list, even), M.all(list, even), M.all({ 2, 4 }, even))
p("invoke", M.invoke({ "a", "bea" }, string.len), M.pluck(people, "name"))
p("max", M.max(list), M.min(list), M.max(people, function(v) return v.age end))
p("same", M.same({ 1, 2, 3 }, { 3, 2, 1 }), M.same({ 1 }, { 2 }))
p("sort", M.sort(M.clone(list)), M.sort(M.clone(list), function(a, b) return a > b end))
seen = {}
for k, v in M.sortedk { z = 1, y = 2, x = 3 } do seen[#seen + 1] = k .. v end
for k, v in M.sortedv { z = 1, y = 2, x = 3 } do seen[#seen + 1] = k .. v end
p("sorted", seen)
p("sortBy", M.pluck(M.sortBy(people, function(v) return v.age * 100 + v.name:byte() end), "name"))
p("groupBy", M.groupBy(list, function(v) return even(v) and "even" or "odd" end))
p("countBy", M.countBy(list, function(v) return v > 4 end))
p("size", M.size { 1, 2, 3 }, M.size(1, 2), M.size {}, M.size(map))
p("keys", M.containsKeys(map, { a = 9 }), M.containsKeys(map, { q = 1 }), M.sameKeys({ a = 1 }, { a = 2 }))

-- arrays
p("nsorted", M.nsorted(list, 3), M.nsorted(list, 2, function(a, b) return a > b end))
p("find", M.find(list, 8), M.find({ { 1 }, { 2 } }, { 2 }), M.find(list, 5, 2))
p("reverse", M.reverse { 1, 2, 3 }, M.fill({ 1, 2, 3, 4 }, 0, 2, 3), M.zeros(3), M.ones(2), M.vector("v", 3))
p("while", M.selectWhile({ 2, 4, 5, 6 }, even), M.dropWhile({ 2, 4, 5, 6 }, even))
p("sortedIndex", M.sortedIndex({ 1, 3, 5 }, 4), M.sortedIndex({ 5, 1, 3 }, 2, nil, true))
p("index", M.indexOf(list, 8), M.lastIndexOf({ 1, 2, 1 }, 1), M.findIndex(list, even), M.findLastIndex(list, even))
p("top", M.addTop({ 1 }, 2, 3), M.prepend({ 1 }, 2, 3), M.push({ 1 }, 2, 3))
local stack = { 1, 2, 3, 4, 5 }
p("shift", M.shift(stack, 2), stack)
p("unshift", M.unshift(stack, 1), stack)
p("pull", M.pull({ 1, 2, 1, 3, 2 }, 1, 3), M.removeRange({ 1, 2, 3, 4, 5 }, 2, 4))
p("chunk", M.chunk({ 1, 1, 2, 3, 3 }, function(v) return v % 2 end), M.slice({ 1, 2, 3, 4, 5 }, 2, 4), M.slice({ 1, 2, 3 }, -2))
p("parts", M.first({ 1, 2, 3 }, 2), M.initial({ 1, 2, 3 }), M.last({ 1, 2, 3 }, 2), M.rest({ 1, 2, 3 }, 2), M.nth({ 7, 8 }, 2))
p("compact", M.compact { 1, false, 2, false }, M.flatten { 1, { 2, { 3, { 4 } } } }, M.flatten({ 1, { 2, { 3 } } }, true))
p("sets", M.difference({ 1, 2, 3 }, { 2 }), M.union({ 1, 2 }, { 2, 3 }), M.intersection({ 1, 2, 3 }, { 2, 3, 4 }), M.symmetricDifference({ 1, 2 }, { 2, 3 }))
p("disjoint", M.disjoint({ 1 }, { 2 }), M.unique { 1, 1, 2 }, M.isunique { 1, 2 }, M.duplicates { 1, 2, 1, 3, 3 })
p("zip", M.zip({ 1, 2 }, { "a", "b" }), M.zipWith(add, { 1, 2 }, { 10, 20 }), M.append({ 1 }, { 2 }), M.interleave({ 1, 2 }, { "a", "b" }), M.interpose({ 1, 2, 3 }, 0))
p("range", M.range(1, 5), M.range(0, 1, 0.25), M.range(5, 1, -2), M.range(3), M.rep("r", 3))
p("powerset", M.sort(M.map(M.powerset { 1, 2, 3 }, function(v) return table.concat(v, "+") end)))
seen = {}
for part in M.partition({ 1, 2, 3, 4, 5 }, 2, 0) do seen[#seen + 1] = table.concat(part, ",") end
for part in M.overlapping({ 1, 2, 3, 4, 5 }, 3) do seen[#seen + 1] = table.concat(part, ",") end
for part in M.aperture({ 1, 2, 3, 4 }, 3) do seen[#seen + 1] = table.concat(part, ",") end
for part in M.pairwise { 1, 2, 3 } do seen[#seen + 1] = table.concat(part, ",") end
for part in M.permutation { "x", "y", "z" } do seen[#seen + 1] = table.concat(part) end
p("parts", seen)
p("concat", M.concat({ 1, 2, 3, true }, "-", 1, 3), M.xprod({ 1, 2 }, { "a", "b" }), M.xpairs(0, { 1, 2 }), M.xpairsRight(0, { 1, 2 }))
p("numbers", M.sum(list), M.product { 1, 2, 3, 4 }, M.mean { 1, 2, 3, 4 }, M.median { 5, 1, 3 }, M.median { 4, 1, 3, 2 })

-- functions
p("noop", M.noop(1), M.identity(7), M.call(math.max, 1, 9, 3), M.constant(5)())
p("applySpec", M.applySpec { min = math.min, max = math.max }(3, 1, 2))
p("thread", M.thread(2, double, { add, 10 }), M.threadRight(2, double, { function(a, b) return a - b end, 10 }))
p("dispatch", M.dispatch(function() end, double)(4))
local calls = 0
local slow = M.memoize(function(n)
  calls = calls + 1
  return n * n
end)
p("memoize", slow(4), slow(4), slow(5), calls)
p("unfold", M.unfold(function(v) if v < 100 then return v, v * 2 end end, 3))
local once = M.once(double)
p("once", once(1), once(2))
local before, after = M.before(double, 2), M.after(double, 2)
p("before", before(1), before(2), before(3), after(1), after(2))
p("compose", M.compose(double, function(v) return v + 1 end)(5), M.pipe(5, double, double), M.complement(even)(2), M.juxtapose(4, double, even))
p("wrap", M.wrap(double, function(f, v) return "<" .. f(v) .. ">" end)(4), M.times(function(i) return i * i end, 4))
p("bind", M.bind(add, 1)(2), M.bind2(function(a, b) return a - b end, 1)(10), M.bindn(math.max, 1, 2)(3))
p("cond", M.map({ 0, 5, -5 }, M.cond { { function(v) return v > 0 end, function() return "positive" end }, { function(v) return v < 0 end, function() return "negative" end }, { function() return true end, function() return "zero" end } }))
p("both", M.both(even, function(v) return v > 3 end)(4), M.either(even, even)(3), M.neither(even, even)(3))
p("iterator", M.tabulate(M.skip(M.iterator(double, 1, 6), 2)), M.iterlen(M.iterator(double, 1, 3)))
p("arity", M.castArray(3), M.flip(function(a, b, c) return table.concat({ a, b, c }) end)(1, 2, 3), M.nthArg(-1)("a", "b"), M.unary(function(...) return ... end)(1, 2), M.ary(function(...) return ... end, 2)(1, 2, 3), M.rearg(function(...) return ... end, { 3, 1, 2 })("a", "b", "c"))
p("over", M.over(math.min, math.max)(4, 2, 9), M.overEvery(even, even)(4), M.overSome(even, M.complement(even))(3), M.overArgs(add, double, double)(1, 2))
p("partial", M.partial(function(a, b, c) return a .. b .. c end, "_", 2)(1, 3), M.partialRight(function(a, b, c) return a .. b .. c end, 2, 3)(1), M.curry(function(a, b, c) return a + b + c end, 3)(1)(2)(3))

-- objects
p("keys", M.sort(M.keys(map)), M.sort(M.values(map)), M.path({ a = { b = { c = 5 } } }, "a", "b", "c"), M.path({}, "a", "b"))
p("objects", M.invert { "x", "y" }, M.property "k" { k = 1 }, M.propertyOf { k = 2 } "k", M.toBoolean(nil), M.extend({ a = 1 }, { b = 2 }, { a = 3 }))
p("spread", M.spreadPath({ a = 1, n = { b = 2 } }, "n"), M.toObj { { "k", 1 }, { "l", 2 } }, M.pick(map, "a", "c"), M.omit(map, "a"), M.template({ a = 1 }, { a = 9, z = 26 }))
p("functions", M.sort(M.functions { f = print, g = print, h = 1 }), M.has(map, "a"), M.result({ f = function() return "called" end }, "f"))
p("equal", M.isEqual({ 1, { 2 } }, { 1, { 2 } }), M.isEqual({ 1 }, { 2 }), M.isEqual(1, 1.0), M.isEqual(0 / 0, 0 / 0))
p("is", M.isTable {}, M.isCallable(print), M.isArray { 1, 2 }, M.isArray { a = 1 }, M.isEmpty {}, M.isEmpty "", M.isString "s", M.isNaN(0 / 0), M.isFinite(1 / 0), M.isInteger(3.0), M.isNil(nil), M.isBoolean(false))
p("chain", M.chain({ 1, 2, 3, 4, 5, 6 }):filter(even):map(double):reverse():value(), M({ 3, 1, 2 }):sort():concat("<"):value())
