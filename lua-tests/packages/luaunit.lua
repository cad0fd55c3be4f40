-- needs: luaunit
-- Suites with passing, failing, erring and skipped tests, in each output form;
-- what depends on the time is taken out.
local lu = require "luaunit"
local show = require "show"
local p = show.p

-- messages of failed assertions, one by one
local function failure(label, f, ...)
  local ok, e = pcall(f, ...)
  if ok then return print(label, "passes") end
  local text = type(e) == "table" and e.msg or tostring(e)
  print(label, (text:gsub("[^%s]*%.lua:%d+: ", "@: "):gsub("0x%x+", "ADDRESS"):gsub("function: [%w:]*0?x?%x+", "function")))
end
lu.ORDER_ACTUAL_EXPECTED = true
lu.PRINT_TABLE_REF_IN_ERROR_MSG = false
failure("equals", lu.assertEquals, 1, 1)
failure("equals", lu.assertEquals, 1, 2)
failure("equals", lu.assertEquals, 1, "1")
failure("equals", lu.assertEquals, "line\none", "line\ntwo")
failure("equals", lu.assertEquals, { 1, 2, 3 }, { 1, 2, 4 })
failure("equals", lu.assertEquals, { a = 1, b = { 2 } }, { a = 1, b = { 3 } })
failure("equals", lu.assertEquals, { 1, { 2, { 3 } } }, { 1, { 2, { 3 } } })
local long1, long2 = {}, {}
for i = 1, 30 do long1[i], long2[i] = i, i == 17 and "x" or i end
failure("equals", lu.assertEquals, long1, long2)
failure("not equals", lu.assertNotEquals, { 1 }, { 1 })
failure("almost", lu.assertAlmostEquals, 1, 1.1, 0.2)
failure("almost", lu.assertAlmostEquals, 1, 1.5, 0.2)
failure("almost", lu.assertNotAlmostEquals, 1, 1.1, 0.2)
failure("items", lu.assertItemsEquals, { 1, 2, 3 }, { 3, 1, 2 })
failure("items", lu.assertItemsEquals, { 1, 2, 3 }, { 3, 1, 1 })
failure("contains", lu.assertStrContains, "hello world", "wor")
failure("contains", lu.assertStrContains, "hello world", "xyz")
failure("icontains", lu.assertStrIContains, "Hello", "hELL")
failure("matches", lu.assertStrMatches, "abc123", "%a+%d+")
failure("matches", lu.assertStrMatches, "abc", "%d+")
failure("contains", lu.assertTableContains, { 1, 2 }, 3)
failure("not contains", lu.assertNotTableContains, { 1, 2 }, 2)
failure("error", lu.assertError, function() end)
failure("error", lu.assertErrorMsgEquals, "text", function() error("text", 0) end)
failure("error", lu.assertErrorMsgEquals, "text", function() error("other", 0) end)
failure("error", lu.assertErrorMsgContains, "tex", function() error "text" end)
failure("error", lu.assertErrorMsgContains, "none", function() error "text" end)
failure("error", lu.assertErrorMsgMatches, ".*te?xt", function() error "text" end)
failure("error", lu.assertErrorMsgEquals, { code = 1 }, function() error { code = 2 } end)
for _, name in ipairs { "True", "False", "Nil", "NotNil", "EvalToTrue", "EvalToFalse", "IsNumber", "IsString", "IsTable", "IsBoolean",
  "IsNil", "IsFunction", "IsThread", "IsUserdata", "IsNaN", "IsInf", "IsPlusInf", "IsMinusInf", "IsPlusZero", "IsMinusZero", "NotIsNumber", "NotIsString" } do
  for _, v in ipairs { 1, "s", true, false, 0 / 0, math.huge, -math.huge, 0.0, -0.0 } do failure(name .. " " .. tostring(v):gsub("^-nan$", "nan"), lu["assert" .. name], v) end
  failure(name .. " nil", lu["assert" .. name], nil)
end
local t1, t2 = { 1 }, { 1 }
failure("is", lu.assertIs, t1, t1)
failure("is", lu.assertIs, t1, t2)
failure("is not", lu.assertNotIs, t1, t1)
print(lu.prettystr { 1, 2, { a = "b", [1.5] = true }, "x\ny" })
print(lu.prettystr { x = 1, y = { z = { 1, 2, 3 } }, ["a key"] = false })

-- suites
TestPass = {}
function TestPass:setUp() self.n = (self.n or 0) + 1 end
function TestPass:tearDown() self.n = self.n - 1 end
function TestPass:testOne() lu.assertEquals(self.n, 1) end
function TestPass:testTwo() lu.assertTrue(true) end
TestFail = {}
function TestFail:testEquals() lu.assertEquals({ 1, 2 }, { 1, 3 }) end
function TestFail:testError() error "broken" end
function TestFail:testTableError() error { code = 7 } end
function TestFail:testNil() local x = nil; return x.field end
function TestFail:testSkip() lu.skip "not today" end
function TestFail:testSkipIf() lu.skipIf(true, "condition") end
function TestFail:testFail() lu.fail "by hand" end
function TestFail:testSuccess() lu.success() end
function TestFail:testFailIf() lu.failIf(1 == 1, "because") end
TestSetup = {}
function TestSetup:setUp() error "setup broken" end
function TestSetup:testNever() end
TestTearDown = {}
function TestTearDown:tearDown() lu.fail "teardown" end
function TestTearDown:testIt() end
function test_function() lu.assertEquals(1, 1) end

local write, out = io.stdout, nil
local function capture(f)
  local pieces = {}
  local real_print, real_stdout, real_io_write = print, io.stdout, io.write
  local fake = { write = function(self, ...) for i = 1, select("#", ...) do pieces[#pieces + 1] = tostring((select(i, ...))) end return self end, flush = function() end }
  print = function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    pieces[#pieces + 1] = table.concat(parts, "\t") .. "\n"
  end
  io.stdout = fake
  io.write = function(...) fake:write(...) return fake end
  local results = table.pack(pcall(f))
  print, io.stdout, io.write = real_print, real_stdout, real_io_write
  local text = table.concat(pieces)
  text = text:gsub("%d+%.%d+ seconds", "T seconds"):gsub("0x%x+", "ADDRESS"):gsub("Started on [^\n]*", "Started"):gsub("time=\"[^\"]*\"", "time"):gsub('timestamp="[^"]*"', "timestamp")
  return text, table.unpack(results, 1, results.n)
end

for _, arguments in ipairs {
  { "-o", "text" }, { "-o", "text", "-v" }, { "-o", "tap" }, { "-o", "tap", "-v" }, { "-o", "nil" }, { "-q" },
  { "-o", "text", "TestPass" }, { "-p", "One" }, { "-x", "Fail", "-v" }, { "-r", "2", "TestPass.testOne" }, { "-v", "test_function", "TestFail.testSkip" },
  { "TestPass.nothing" }, { "NoSuchClass" },
} do
  print("run " .. table.concat(arguments, " "))
  local text, ok, result = capture(function()
    local runner = lu.LuaUnit.new()
    return runner:runSuite(table.unpack(arguments))
  end)
  print((text:gsub("[^%s\"]*%.lua:%d+: ", "@: "):gsub("\n%s*%[C%][^\n]*", ""):gsub("\n[^\n]*in main chunk", "")))
  print(ok, type(result) == "string" and result:gsub("^[^:]*:%d+: ", "") or result)
end

-- parts of the library that are useful alone
p("xml", lu.private.xmlEscape "<a href=\"x\">&'</a>", lu.private.xmlCDataEscape "]]>")
p("split", lu.private.strsplit("\n", "a\nb\n\nc"), lu.private.hasNewLine "a\nb", lu.private.prefixString("> ", "a\nb"))
p("pattern", lu.private.patternFilter({ "foo", "!bar" }, "foobar"), lu.private.patternFilter({ "foo" }, "food"))
p("iter", (function()
  local keys = {}
  for k in lu.private.sortedPairs { b = 1, a = 2, [3] = 3, [1] = 4, [true] = 5 } do keys[#keys + 1] = tostring(k) end
  return keys
end)())
p("args", lu.LuaUnit.parseCmdLine { "-v", "-o", "tap", "-p", "x", "name", "-e" })

local order = { 1, 2, 3, 4 }
lu.private.randomizeTable(order)
p("random", #order)

-- the last: the first failure ends the program, and its status is compared
lu.LuaUnit.new():runSuite("-o", "nil", "-f", "TestFail.testEquals")
print "not reached"
