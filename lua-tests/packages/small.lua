-- needs: uri mediator fifo ansicolors logging ldoc.lexer inifile
-- Several small packages: addresses, channels, queues, colours, loggers, a lexer.
local show = require "show"
local p, try = show.p, show.try

local URI = require "uri"
for _, text in ipairs {
  "http://user@host.example:8080/a/b;c?q=1&r#frag", "https://EXAMPLE.com:443/%7euser/", "ftp://anonymous@ftp.example/file;type=i", "file:///etc/passwd", "urn:isbn:0-306-40615-2",
  "urn:oid:1.2.3.4", "data:text/plain;charset=utf-8,hello%20world", "data:;base64,SGVsbG8=", "telnet://host:23/", "pop://user;auth=*@host:110", "rtsp://h/x", "mailto:a@b.c", "relative/path?x", "//host/x", "?q", "#f", "urn:issn:0259-000X", "urn:isbn:1", "http://", "http://a b/", "1x:y", "", "http://h:99999/", "x-y.z+1:anything",
} do
  local uri, why = URI:new(text)
  if not uri then
    p("uri " .. text, uri, why)
  else
    p("uri " .. text, uri:uri(), uri:scheme(), uri:userinfo(), uri:host(), uri:port(), uri:path(), uri:query(), uri:fragment(), uri:is_relative())
  end
end
local base = assert(URI:new "http://a/b/c/d;p?q")
for _, reference in ipairs { "g:h", "g", "./g", "g/", "/g", "//g", "?y", "g?y", "#s", "g#s", "g?y#s", ";x", "g;x", "", ".", "./", "..", "../", "../g", "../..", "../../g", "../../../g", "/./g", "/../g", "g.", ".g", "g..", "./../g", "./g/.", "g/./h", "g/../h", "g;x=1/../y", "g?y/./x" } do
  local uri, why = URI:new(reference, base)
  p("resolve " .. reference, uri and tostring(uri), why)
end
local uri = assert(URI:new "http://host/path")
p("set", uri:host "other.example", uri:port(81), uri:path "/new path", uri:query "a=b", uri:fragment "z", tostring(uri))
try("set", uri.host, uri, "bad host")
try("set", uri.port, uri, -5)
try("set", uri.scheme, uri, "1bad")
p("relative", tostring(uri), URI:new "http://x/" == URI:new "http://x/")

local Mediator = require "mediator"
local m, log = Mediator(), {}
local function note(label) return function(...) log[#log + 1] = label .. ":" .. table.concat({ ... }, ",") return nil, true end end
m:subscribe({ "a" }, note "a")
local second = m:subscribe({ "a", "b" }, note "ab", { priority = 1 })
m:subscribe({ "a", "b" }, note "first", { priority = 1, predicate = function(x) return x ~= "no" end })
m:publish({ "a", "b" }, "x", "y")
m:publish({ "a" }, "z")
m:publish({ "a", "b" }, "no")
m:removeSubscriber(second.id, { "a", "b" })
m:publish({ "a", "b", "c" }, "deep")
m:subscribe({ "stop" }, function() log[#log + 1] = "stopper" return "result", false end)
m:subscribe({ "stop" }, note "never")
p("mediator", log, m:publish({ "stop" }, 1))

local fifo = require "fifo"
local q = fifo("a", "b")
q:push "c"
p("fifo", q:length(), q:peek(), q:peek(2), q:pop(), q:insert(1, "x"), q:pop(), q:pop(), #q)
q:push(nil)
p("fifo", q:length(), q:remove(1), q:pop())
try("fifo", q.pop, q)
q:setempty(function() return "none" end)
p("fifo", q:pop())
for i = 1, 500 do q:push(i) end
local sum = 0
for _ = 1, 300 do sum = sum + q:pop() end
p("fifo", sum, q:length(), q:peek(200))

local colors = require "ansicolors"
p("colors", colors "%{red}hello%{reset} %{bright blue underline}x", colors.noReset "%{greenbg}y", colors "plain 100%")
try("colors", colors, "%{nonsense}x")

local logging = require "logging"
local lines = {}
local logger = logging.new(function(self, level, message)
  lines[#lines + 1] = level .. " " .. message
  return true
end)
logger:setLevel "INFO"
logger:debug "hidden"
logger:info "shown"
logger:warn("%d of %s", 5, "x")
logger:error { 1, k = { 2, "t" } }
logger:fatal(function(a) return "lazy " .. a end, "value")
logger:log("WARN", nil)
p("logging", lines)
try("logging", logger.setLevel, logger, "NONSENSE")
try("logging", logger.log, logger, "NONSENSE", "x")
p("tostring", logging.tostring { b = 1, a = { true, "x" } }, logging.prepareLogMsg("%level %message", "DATE", "INFO", "text"))

local lexer = require "ldoc.lexer"
local source = assert(package.searchpath("fifo", package.path))
local file <close> = assert(io.open(source))
local counts, total = {}, 0
for kind, value in lexer.lua(file:read "a", {}) do
  counts[kind] = (counts[kind] or 0) + 1
  total = total + #tostring(value)
end
p("lexer", counts, total)
local function tokens(text)
  local out = {}
  for kind, value in lexer.lua(text, {}) do out[#out + 1] = kind .. "<" .. tostring(value) .. ">" end
  return out
end
p("tokens", tokens "--- doc\nlocal x = [==[ long ]] ]==] .. 'q\\'' --[[ block ]] goto y ~= 0x1p4")

local ini = require "inifile"
local name = os.tmpname()
ini.save(name, { section = { key = "value", number = 5, flag = true }, other = { ["a b"] = "c d" } })
local back = ini.parse(name)
p("ini", back)
os.remove(name)
p("ini", ini.parse("; note\n[s]\nx = 1\ny=two words\n[t]\nz = false\n", "memory"))
