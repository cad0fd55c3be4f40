-- needs: say
-- Namespaces, fallbacks, and formatting with few, many and nil parameters.
local say = require "say"
local show = require "show"
local p, try = show.p, show.try

say:set_namespace "en"
say:set("money", "I have %s dollars")
say:set("two", "%s and %s")
say:set("plain", "nothing to fill in")
say:set("percent", "100%% of %s")
say:set("number", 42)
say:set("yes", true)
p("en", say "plain", say("money", { "one hundred" }), say("two", { 1, 2.5 }))
p("percent", say("percent", { "it" }), say "percent")
p("number", say "number", say "yes", say "absent")

say:set_namespace "fr"
say:set("money", "J'ai %s euros")
p("fr", say("money", { 100 }), say "plain", say("two", { "un", "deux" }))
say:set_namespace "xx"
p("xx", say("money", { {} ~= nil }), say "none")
say:set_fallback "fr"
p("fallback", say("money", { 5 }), say "plain")
say:set_fallback "en"
p("back", say "plain")

p("nil parameters", say("two", { nil, "b", n = 2 }), say("two", { "a", nil, n = 2 }))
p("extra", say("two", { 1, 2, 3, 4 }))
try("too few", say, "two", { 1 })
try("not a table", say, "two", "oops")
try("number", say, "two", 7)
say:set("bad", "%d apples")
try("bad", say, "bad", { "many" })
try("good", say, "bad", { 3 })
say:set("pad", "[%5s|%-5s]")
p("pad", say("pad", { "ab", "cd" }))

-- parameters with their own text
local named = setmetatable({}, { __tostring = function() return "a named thing" end })
p("tostring", say("two", { named, setmetatable({}, { __tostring = function() return "" end }) }))
p("registry", say._registry.en.plain, say.en.plain, show.keys(say._registry))

-- many keys in many namespaces
local languages = { "aa", "bb", "cc", "dd" }
for i, language in ipairs(languages) do
  say:set_namespace(language)
  for k = i, 60, i do say:set("key" .. k, language .. " %s of " .. k) end
end
say:set_fallback "aa"
for _, language in ipairs(languages) do
  say:set_namespace(language)
  local out = {}
  for k = 1, 12 do out[k] = say("key" .. k, { k * k }) end
  print(language, table.concat(out, "; "))
end
say:set_namespace "en"
say:set_fallback "en"
for i = 1, 40 do
  local parameters = {}
  for k = 1, i do parameters[k] = k end
  say:set("long", ("%s,"):rep(i))
  if i % 8 == 0 then p("long", say("long", parameters)) end
end
