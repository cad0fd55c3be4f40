-- needs: luassert
-- Assertions in the busted style: modifiers, messages through `say`, formatters,
-- spies, stubs, mocks, matchers and snapshots.
local assert = require "luassert"
local say = require "say"
local match = require "luassert.match"
local spy = require "luassert.spy"
local stub = require "luassert.stub"
local mock = require "luassert.mock"
local show = require "show"
local p = show.p

local function check(label, f)
  local ok, e = pcall(f)
  local text = type(e) == "table" and tostring(e.message or e) or tostring(e)
  text = text:gsub("0x%x+", "ADDRESS"):gsub("[^%s]*%.lua:%d+:", "@:"):gsub("function: [%w:]*", "function"):gsub("builtin: [%w:]*", "function")
  print(label, ok, ok and "" or text)
end

local values = { 1, "one", true, false, { 1, 2 }, 1.5, print }
for _, name in ipairs { "truthy", "falsy", "is_true", "is_false", "is_nil", "is_not_nil", "is_number", "is_string", "is_table", "is_function", "is_boolean", "is_not_string", "has_no.errors" } do
  for i, v in ipairs(values) do
    if name ~= "has_no.errors" then check(name .. " " .. i, function() assert[name](v) end) end
  end
end
check("nil", function() assert.is_nil(nil) end)
check("true message", function() assert.is_true(false, "my own message") end)
check("plain", function() assert(false, "plain") end)
check("plain", function() return assert(1, "plain") end)
check("equal", function() assert.are.equal(1, 1) end)
check("equal", function() assert.are.equal(1, 2) end)
check("equal", function() assert.equals("a", "b", "why") end)
check("not equal", function() assert.are_not.equal(1, 1) end)
check("same", function() assert.same({ 1, { 2 } }, { 1, { 2 } }) end)
check("same", function() assert.same({ 1, { 2 } }, { 1, { 3 } }) end)
check("same", function() assert.are.same({ a = 1 }, { a = 1, b = 2 }) end)
check("not same", function() assert.are_not.same({ 1 }, { 1 }) end)
check("deep", function() assert.same({ a = { b = { c = { d = 1 } } } }, { a = { b = { c = { d = 2 } } } }) end)
check("unique", function() assert.unique { 1, 2, 3 } end)
check("unique", function() assert.unique { 1, 2, 1 } end)
check("unique deep", function() assert.unique({ { 1 }, { 1 } }, true) end)
check("near", function() assert.near(1, 1.05, 0.1) end)
check("near", function() assert.near(1, 1.5, 0.1) end)
check("matches", function() assert.matches("%d+", "abc 42") end)
check("matches", function() assert.matches("%d+", "abc") end)
check("no match", function() assert.does_not.match("b", "abc", 1, true) end)
check("error", function() assert.has_error(function() error("text", 0) end) end)
check("error", function() assert.has_error(function() error("text", 0) end, "text") end)
check("error", function() assert.has_error(function() error("text", 0) end, "other") end)
check("error", function() assert.has_error(function() end) end)
check("error", function() assert.has_no.errors(function() error("oops", 0) end) end)
check("error table", function() assert.has_error(function() error { code = 1 } end, { code = 1 }) end)
check("error match", function() assert.error_matches(function() error "some text" end, "text$") end)
check("error match", function() assert.error_matches(function() error "some text" end, "^nothing") end)
check("array", function() assert.array({ 1, 2, nil, 4 }).has.holes() end)
check("array", function() assert.array({ 1, 2, 3 }).has.holes() end)
check("bad use", function() assert.are.equal(1) end)
check("bad name", function() assert.is_nonsense(1) end)
check("returned", function() p("returned", assert.truthy(5, "x"), assert.is_string("s", "t")) end)
check("returned", function() p("returned", assert.has_error(function() error("e", 0) end)) end)

-- an assertion of one's own
say:set("assertion.has_property.positive", "Expected property %s in:\n%s")
say:set("assertion.has_property.negative", "Did not expect property %s in:\n%s")
assert:register("assertion", "has_property", function(state, arguments)
  if type(arguments[1]) ~= "table" or #arguments ~= 2 then return false end
  return arguments[1][arguments[2]] ~= nil
end, "assertion.has_property.positive", "assertion.has_property.negative")
check("own", function() assert.has_property({ name = 1 }, "name") end)
check("own", function() assert.has_property({ name = 1 }, "other") end)
check("own", function() assert.has_no.has_property({ name = 1 }, "name") end)
assert:unregister("assertion", "has_property")
check("own gone", function() assert.has_property({ name = 1 }, "name") end)

-- formatters and snapshots
local before = assert:snapshot()
assert:add_formatter(function(v) if type(v) == "number" then return "<" .. v .. ">" end end)
check("formatter", function() assert.equal(1, 2) end)
before:revert()
check("formatter", function() assert.equal(1, 2) end)
assert:set_parameter("TableFormatLevel", 1)
check("level", function() assert.same({ { { 1 } } }, { { { 2 } } }) end)
assert:set_parameter("TableFormatLevel", 3)

-- spies, stubs, mocks
local s = spy.new(function(a, b) return a, b end)
p("spy", s(1, 2), s("x"), #s.calls)
check("called", function() assert.spy(s).was.called() end)
check("called", function() assert.spy(s).was.called(2) end)
check("called", function() assert.spy(s).was.called(3) end)
check("called with", function() assert.spy(s).was.called_with(1, 2) end)
check("called with", function() assert.spy(s).was.called_with(9) end)
check("not called with", function() assert.spy(s).was_not.called_with "x" end)
check("least", function() assert.spy(s).was.called_at_least(1) end)
check("most", function() assert.spy(s).was.called_at_most(1) end)
check("more", function() assert.spy(s).was.called_more_than(1) end)
check("less", function() assert.spy(s).was.called_less_than(2) end)
check("returned with", function() assert.spy(s).was.returned_with(1, 2) end)
s:clear()
check("cleared", function() assert.spy(s).was_not.called() end)
local object = { f = function(n) return n * 2 end, g = function() return "g" end }
spy.on(object, "f")
p("on", object.f(4), #object.f.calls)
object.f:revert()
p("reverted", type(object.f))
local st = stub(object, "g")
p("stub", object.g())
st.returns(7)
p("stub", object.g())
st.by_default.returns "default"
st.on_call_with(1).returns "one"
st.on_call_with(match.is_string()).invokes(function(text) return text:upper() end)
p("stub", object.g(1), object.g "abc", object.g(2))
st:revert()
p("stub", object.g())
local library = { a = function() return 1 end, inner = { b = function() return 2 end } }
local m = mock(library, true)
p("mock", m.a(), m.inner.b())
check("mock", function() assert.spy(library.inner.b).was.called(1) end)
mock.revert(m)
p("mock", library.a(), library.inner.b())

-- matchers
s = spy.new(function() end)
s(1, "text", { k = 1 })
check("matchers", function() assert.spy(s).was.called_with(match._, match.is_string(), match.is_table()) end)
check("matchers", function() assert.spy(s).was.called_with(match.is_string(), match._, match._) end)
check("matchers", function() assert.spy(s).was.called_with(match.is_not_nil(), match.matches "te", match.is_same { k = 1 }) end)
check("matchers", function() assert.spy(s).was.called_with(match.all_of(match.is_number(), match.is_not_string()), match.any_of(match.is_nil(), match.is_string()), match._) end)
check("matchers", function() assert.spy(s).was.called_with(match.none_of(match.is_number()), match._, match._) end)
p("match", match.is_near(1, 0.5)(1.2), match.has_match "b"(  "abc"), match.is_equal(1)(1), match.is_ref(library)(library), match.is_truthy()(false))
