-- Programs that never end, each after a line of five dashes and its name. The
-- test runs each in a VM of its own and wants it ended by the deadline. An
-- operation that is merely long stands in a loop, so that its longest stretch
-- without a look at the limits shows. Afterwards the global `over` is set: what
-- still waits to be finalized may end.
----- while
while true do end
----- while with a body
local x = 0
while true do x = x + 1 end
----- repeat
repeat until false
----- goto
::again:: goto again
----- numeric for
for i = 1, math.maxinteger do end
----- numeric for with a tiny float step
for i = 0.0, 1.0, 1e-300 do end
----- generic for over a native
for _ in next, setmetatable({}, {}) do end
for _ in function() return 1 end do end
----- generic for over a wrapped coroutine
for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end
----- tail recursion
local function f() return f() end
f()
----- tail recursion with varargs
local function f(...) return f(...) end
f(1, 2, 3)
----- mutual tail recursion
local g
local function f() return g() end
function g() return f() end
f()
----- deep recursion, caught
while true do pcall(function() local function f() return 1 + f() end f() end) end
----- tree recursion
local function f(n) if n > 0 then f(n - 1) f(n - 1) end end
f(150)
----- coroutine ping-pong
local co = coroutine.wrap(function() while true do coroutine.yield() end end)
while true do co() end
----- coroutines made without end
while true do coroutine.resume(coroutine.create(function() coroutine.yield() end)) end
----- coroutine chain
local function chain(n)
  if n == 0 then while true do end end
  coroutine.wrap(chain)(n - 1)
end
chain(150)
----- pcall of error
while true do pcall(error) end
----- pcall of a loop
while true do pcall(function() while true do end end) end
----- pcall of pcall
while true do pcall(pcall, pcall, pcall, error) end
----- pcall tail recursion
local function f() return pcall(f) end
while true do f() end
----- xpcall whose handler loops
while true do xpcall(error, function() while true do end end) end
----- xpcall whose handler fails
while true do xpcall(error, function(e) error(e) end) end
----- xpcall of a loop, handler catches
while true do
  xpcall(function() while true do end end, function() while true do pcall(error) end end)
end
----- close method loops
local t = setmetatable({}, { __close = function() while true do end end })
do local x <close> = t end
----- close method loops after an error
local t = setmetatable({}, { __close = function() while true do end end })
while true do pcall(function() local x <close> = t error("x") end) end
----- close methods on the way out loop
local t = setmetatable({}, { __close = function() while true do end end })
local function nest(n) local x <close> = t if n > 0 then nest(n - 1) end while true do end end
nest(100)
----- coroutine.close whose close method loops
local t = setmetatable({}, { __close = function() while true do end end })
while true do
  local co = coroutine.create(function() local x <close> = t coroutine.yield() end)
  coroutine.resume(co)
  coroutine.close(co)
end
----- wrapped coroutine that fails, its close method loops
local t = setmetatable({}, { __close = function() while true do end end })
while true do pcall(coroutine.wrap(function() local x <close> = t error("x") end)) end
----- finalizer loops
for i = 1, 100 do setmetatable({}, { __gc = function() while not over do end end }) end
while true do collectgarbage() end
----- finalizer loops, met by the way
for i = 1, 100 do setmetatable({}, { __gc = function() while not over do end end }) end
while true do local t = {} end
----- finalizers that make objects with finalizers
local function make() setmetatable({}, { __gc = make }) end
make()
while true do collectgarbage() end
----- count hook that loops
debug.sethook(function() while true do end end, "", 10)
while true do end
----- hooks of every sort
debug.sethook(function() pcall(error) end, "crl", 1)
while true do local function f() end f() end
----- error objects with a text of their own
local e = setmetatable({}, { __tostring = function() while true do end end })
while true do pcall(tostring, e) end
----- collector called in a loop
local keep = {}
for i = 1, 100000 do keep[i] = { i } end
while true do collectgarbage() end
----- collector stepped in a loop
while true do collectgarbage("step", 0) collectgarbage("count") end
----- metamethods that call each other by indexing
local t = setmetatable({}, {})
getmetatable(t).__index = function(t, k) if k > 60 then return 1 end return t[k + 1] + t[k + 1] end
return t[1]
----- metamethods that call each other by arithmetic
local mt = {}
local depth = 0
local a = setmetatable({}, mt)
mt.__add = function(x, y)
  if depth > 60 then return 1 end
  depth = depth + 1
  local r = x .. y
  r = x .. y
  depth = depth - 1
  return r
end
mt.__concat = mt.__add
mt.__concat = function(x, y) local r = x + y r = x + y return r end
return a + a
----- metamethods that call each other by comparing
local mt = {}
local a, b = setmetatable({ 0 }, mt), setmetatable({ 0 }, mt)
local depth = 0
local function twice(x, y)
  if depth > 60 then return true end
  depth = depth + 1
  local _ = x < y
  _ = x <= y
  _ = x == y
  depth = depth - 1
  return true
end
mt.__lt, mt.__le, mt.__eq = twice, twice, twice
return a < b
----- metamethods that call each other by storing
local mt = {}
local t = setmetatable({}, mt)
mt.__newindex = function(t, k) if k < 60 then t[k + 1] = 1 t[k + 1] = 1 end end
t[1] = 1
----- chain of index tables, long
local t = {}
for i = 1, 1900 do t = setmetatable({}, { __index = t }) end
while true do pcall(function() return t.x end) end
----- call metamethods
local t = setmetatable({}, {})
getmetatable(t).__call = function(self) return self() end
t()
----- select in a loop
while true do select("#", select(2, 1, 2, 3)) end
----- select over many values
local t = table.pack(string.byte(("x"):rep(100000), 1, -1))
while true do for i = 1, t.n do select(i, table.unpack(t)) end end
----- pattern backtracking, find
local s = ("a"):rep(3000)
while true do s:find((".-"):rep(30) .. "b") end
----- pattern backtracking, match
local s = ("a"):rep(50)
while true do s:match(("a*"):rep(100) .. "b") end
----- pattern backtracking, gmatch
for _ in ("a"):rep(50):gmatch(("a?"):rep(50) .. ("a*"):rep(30) .. "b") do end
while true do end
----- pattern backtracking, gsub
local s = ("a"):rep(60)
while true do s:gsub(("a-"):rep(30) .. "b", "") end
----- pattern with a frontier
local s = ("ab "):rep(1000000)
while true do s:find("%f[x]") end
----- pattern with balance
local s = ("("):rep(300000)
while true do s:find("%b()") end
----- pattern with a back reference
local s = ("ab"):rep(100000)
while true do s:find("(.-)%1%1%1c") end
----- pattern with a large set
local set = "[" .. ("b"):rep(100000) .. "]"
local s = ("a"):rep(100000)
while true do s:find(set) end
----- gsub over a long text
local s = ("ab"):rep(5000000)
while true do s:gsub("a", "b") end
----- gsub whose function loops
("x"):rep(10):gsub(".", function() while true do end end)
----- gsub by a table whose index loops
("x"):gsub(".", setmetatable({}, { __index = function() while true do end end }))
----- gsub of nothing
local s = ("x"):rep(10000000)
while true do s:gsub("", "") end
----- plain find of long texts
local s = ("a"):rep(20000000)
local p = ("a"):rep(10000) .. "b"
while true do s:find(p, 1, true) end
----- plain find, nearly everywhere
local s = ("a"):rep(5000000)
local p = ("a"):rep(2000000) .. "b" .. ("a"):rep(2000000)
while true do s:find(p, 1, true) end
----- rep of the empty string
while true do (""):rep(1 << 62) end
----- rep of the empty string with an empty separator
while true do (""):rep(1 << 62, "") end
----- rep
while true do ("xy"):rep(20000000) end
----- rep with a separator
while true do ("x"):rep(20000000, ",") end
----- reverse, upper, lower
local s = ("aB"):rep(10000000)
while true do s:reverse() s:upper() s:lower() end
----- byte and char
local s = ("x"):rep(900000)
while true do pcall(function() string.char(s:byte(1, -1)) end) end
----- concatenation of long strings
local s = ("x"):rep(10000000)
while true do local t = s .. s .. s end
----- comparison of long strings
local a, b = ("x"):rep(20000000) .. "a", ("x"):rep(20000000) .. "b"
while true do local x, y = a < b, a == b end
----- strings as keys
local t, s = {}, ("x"):rep(20000000)
while true do t[s .. "y"] = 1 end
----- format
while true do string.format(("%99.99f"):rep(200), table.unpack((function() local t = {} for i = 1, 200 do t[i] = 1e300 end return t end)())) end
----- format of a long string
local s = ("x"):rep(10000000)
while true do string.format("%s%s", s, s) end
----- format, quoted
local s = ("\0\n\""):rep(5000000)
while true do string.format("%q", s) end
----- format with a long format
local f = ("%%"):rep(5000000)
while true do string.format(f) end
----- pack and unpack
local f = ("i1"):rep(100)
while true do string.unpack(f, string.pack(f, (("x"):rep(100)):byte(1, -1))) end
----- packsize of a long format
local f = ("i1"):rep(3000000)
while true do string.packsize(f) end
----- pack of a long format of spaces
local f = (" "):rep(10000000)
while true do string.pack(f) end
----- tostring of nothing
while true do tostring(1.5) end
----- tonumber of long numerals
local s = ("1"):rep(5000000)
while true do tonumber(s) tonumber(s, 10) tonumber("0x" .. s) tonumber("." .. s) end
----- tonumber of long spaces
local s = (" "):rep(20000000)
while true do tonumber(s) tonumber(s .. "1") tonumber(s, 10) end
----- arithmetic on long numerals
local s = ("1"):rep(5000000) .. "e-5000000"
while true do local x = s + 0 end
----- utf8.len
local s = ("\u{20AC}"):rep(10000000)
while true do utf8.len(s) end
----- utf8.offset
local s = ("\u{20AC}"):rep(10000000)
while true do utf8.offset(s, 9999999) utf8.offset(s, -9999999) end
----- utf8.offset among continuation bytes
local s = "a" .. ("\x80"):rep(30000000)
while true do utf8.offset(s, 0, #s) utf8.offset(s, 2) utf8.offset(s, -1) end
----- utf8.codes
local s = ("\u{20AC}"):rep(1000000)
while true do for _ in utf8.codes(s) do end end
----- utf8.codes among continuation bytes
local s = "a" .. ("\x80"):rep(30000000)
while true do pcall(function() for _ in utf8.codes(s) do end end) end
----- utf8.codepoint
local s = ("\u{20AC}"):rep(200000)
while true do pcall(utf8.codepoint, s, 1, -1) end
----- table.concat over a pretended length
local t = setmetatable({}, { __len = function() return math.maxinteger end, __index = function() return "" end })
table.concat(t)
----- table.concat of empty strings
local t = setmetatable({}, { __index = function() return "" end })
table.concat(t, "", 1, math.maxinteger)
----- table.concat of many
local t = {}
for i = 1, 1000000 do t[i] = "x" end
while true do table.concat(t, ",") end
----- table.move over a pretended range
local t = setmetatable({}, { __index = function() return 1 end, __newindex = function() end })
table.move(t, 1, math.maxinteger - 1, 2)
----- table.move, raw
table.move({}, 1, math.maxinteger - 1, 1, setmetatable({}, { __newindex = function() end }))
----- table.move of nothing to nothing
table.move({}, 1, math.maxinteger - 1, 2)
----- table.insert into a pretended length
local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end, __index = function() return 1 end, __newindex = function() end })
table.insert(t, 1, 1)
----- table.insert at the front
local t = {}
while true do table.insert(t, 1, 1) end
----- table.remove from a pretended length
local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end, __index = function() return 1 end, __newindex = function() end })
table.remove(t, 1)
----- table.unpack of many
local t = {}
for i = 1, 900000 do t[i] = i end
while true do pcall(table.unpack, t) end
----- table.sort with a comparator that says yes
local t = {}
for i = 1, 100000 do t[i] = i % 17 end
while true do pcall(table.sort, t, function(a, b) return true end) end
----- table.sort with a random comparator
local t = {}
for i = 1, 100000 do t[i] = i % 17 end
while true do pcall(table.sort, t, function(a, b) return math.random() < 0.5 end) end
----- table.sort with a comparator that loops
local t = { 3, 2, 1 }
while true do pcall(table.sort, t, function(a, b) while true do end end) end
----- table.sort with a native comparator
local t = {}
for i = 1, 100000 do t[i] = tostring(i) end
while true do pcall(table.sort, t, rawequal) end
----- table.sort over a pretended length
local t = setmetatable({}, { __len = function() return (1 << 31) - 2 end, __index = function(t, i) return -i end, __newindex = function() end })
table.sort(t)
----- table.sort of many
local t = {}
for i = 1, 500000 do t[i] = (i * 7919) % 500009 end
while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end
----- table.sort of long strings
local t = {}
for i = 1, 1000 do t[i] = ("x"):rep(100000) .. i end
while true do table.sort(t, function(a, b) return a > b end) table.sort(t) end
----- next over a large table that was emptied
local t = {}
for i = 1, 1000000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil end
while true do next(t) end
----- length of a table with holes
local t = {}
for i = 1, 100000 do t[i] = i end
for i = 2, 99999 do t[i] = nil end
while true do local n = #t end
----- growing table
while true do local t = {} for i = 1, 1000000 do t[i] = i end end
----- load with a reader that never ends
load(function() return " " end)
----- load with a reader that loops
load(function() while true do end end)
----- load with a reader of long pieces
local s = (" "):rep(1000000)
load(function() return s end)
----- load of a long text, blank
local s = (" "):rep(20000000)
while true do load(s) end
----- load of a long comment
local s = "--[[" .. ("x"):rep(20000000) .. "]]"
while true do load(s) end
----- load of a long line comment
local s = "--" .. ("x"):rep(20000000)
while true do load(s) end
----- load of a long string
local s = "return '" .. ("x"):rep(10000000) .. "'"
while true do load(s) end
----- load of many statements
local s = ("x = x + 1; "):rep(300000)
while true do load(s) end
----- load of many functions
local s = ("local function f() end "):rep(150) .. ("function f() return function() end end "):rep(50000)
while true do load(s) end
----- load of one long expression
local s = "return 1" .. (" + x"):rep(500000)
while true do load(s) end
----- load of a long table
local s = "return {" .. ("{1,'x'},"):rep(300000) .. "}"
while true do load(s) end
----- load of many constants
local parts = {}
for i = 1, 100000 do parts[i] = "x['k" .. i .. "'] = " .. i .. ".5" end
local s = table.concat(parts, "\n")
while true do load(s) end
----- load of many labels
local parts = {}
for i = 1, 30000 do parts[i] = "::l" .. i .. ":: goto l" .. i end
local s = table.concat(parts, "\n")
while true do load(s) end
----- load of many jumps out
local s = "while true do " .. ("if x then break end "):rep(100000) .. " end"
while true do load(s) end
----- load of a long else-if
local s = "if x then " .. ("elseif y then "):rep(100000) .. " end"
while true do load(s) end
----- load of deep and-or
local s = "return " .. ("x and y or "):rep(200000) .. "z"
while true do load(s) end
----- load of a long numeral
local s = "return " .. ("1"):rep(5000000)
while true do load(s) end
----- load of a long name
local s = "return " .. ("n"):rep(10000000)
while true do load(s) end
----- load of a long concatenation
local s = "return x" .. (" .. x"):rep(100000)
while true do load(s) end
----- load of a long chain of calls
local s = "x" .. (":y()"):rep(300000)
while true do load(s) end
----- dump and load
local f = load(("x = x + 1; "):rep(100000))
while true do load(string.dump(f)) end
----- dump of many functions
local f = load(("function f() return function() end end "):rep(20000))
while true do load(string.dump(f), "x", "b") end
----- load of binary junk
local f = string.dump(load(("x = x + 1; "):rep(100000)))
while true do for i = 1, #f, 7919 do load(f:sub(1, i)) end end
----- require whose searcher loops
table.insert(package.searchers, 1, function() while true do end end)
while true do pcall(require, "nothing") end
----- searchpath over a long path
local path = ("?;"):rep(300)
while true do package.searchpath("no.such.module", path) end
----- lines of a file without lines
local f = assert(io.open("/dev/zero"))
for _ in f:lines() do end
----- read of a file without an end
local f = assert(io.open("/dev/zero"))
while true do pcall(f.read, f, "a") end
----- read of a number without an end
local f = assert(io.open("/dev/zero"))
while true do pcall(f.read, f, "n") pcall(f.read, f, "l") end
----- read of large blocks
local f = assert(io.open("/dev/zero"))
while true do f:read(1 << 25) end
----- read of nothing
local f = assert(io.open("/dev/zero"))
while true do f:read(0) end
----- read of many formats
local f = assert(io.open("/dev/null"))
local function zeros(n) if n == 0 then return end return 0, zeros(n - 1) end
while true do f:read(zeros(150)) end
----- writing
local f = assert(io.open("/dev/null", "w"))
local s = ("x"):rep(10000000)
while true do f:write(s, s, s) end
----- lines of the program's own input
while true do for _ in io.lines("/dev/null") do end end
----- load of a file without an end
while true do pcall(loadfile, "/dev/zero") end
----- dates
while true do os.date("%c") os.time({ year = 2000, month = 1, day = 1 << 30 }) end
----- date with a long format
local f = ("%%"):rep(3000000)
while true do pcall(os.date, f) end
----- times with odd fields
while true do pcall(os.time, { year = (1 << 31) - 1, month = (1 << 31) - 1, day = (1 << 31) - 1, sec = (1 << 31) - 1 }) end
----- random
while true do math.random(0) math.randomseed(42) end
----- traceback of a deep stack
local function deep(n) if n == 0 then while true do debug.traceback() end end return 1 + deep(n - 1) end
deep(150000)
----- getinfo of a deep stack
local function deep(n)
  if n == 0 then while true do debug.getinfo(140000, "nSl") end end
  return 1 + deep(n - 1)
end
deep(150000)
----- upvalues open by the thousand
local fs = {}
while true do
  local function open(n) local x fs[n] = function() return x end if n > 0 then open(n - 1) end end
  pcall(open, 20000)
end
----- print
local s = setmetatable({}, { __tostring = function() return "" end, __name = "x" })
while true do tostring(s) rawlen("x") rawequal(1, 2) type(s) end
