-- For each library function a call whose need of memory a program chooses; `false`
-- and the reason for those that have none, or that end or wait for something.
-- A case answers the same every time.
local cases = {}
local SIZE = 1500000
local function text() return ("0123456789abcde\n"):rep(SIZE // 16) end
local function list(n) local t = {} for i = 1, n or 60000 do t[i] = i end return t end
local function with_file(contents, use)
  local name = "/tmp/moonswap-edge-" .. tostring(cases):gsub("%W", "")
  local f = assert(io.open(name, "w"))
  local ok, message = pcall(function() f:write(contents) end)
  f:close()
  local results = ok and table.pack(pcall(use, name)) or { false, message, n = 2 }
  os.remove(name)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end
local function small(f) return function() return f() end end

-- base
cases.assert = small(function() return assert(text(), "x") end)
cases.collectgarbage = function() collectgarbage() collectgarbage "step" return math.type(collectgarbage "count") end
cases.dofile = function() return with_file("return #[[" .. ("x"):rep(300000) .. "]]", dofile) end
cases.error = function() local ok, e = pcall(error, text()) return #e end
cases.getmetatable = small(function() return getmetatable(setmetatable({}, { __metatable = list() })) end)
cases.ipairs = function() local n = 0 for i, s in ipairs(list()) do n = n + #(s .. "x") end return n end
cases.load = function()
  local n = 0
  return load(function() n = n + 1 return n <= 2000 and "x = '" .. ("y"):rep(n) .. "' " or nil end)
end
cases.loadfile = function() return with_file("return {" .. ("1,"):rep(30000) .. "}", loadfile) end
cases.next = function() local n, k = 0 local t = list(20000) repeat k = next(t, k) n = n + 1 until not k return n end
cases.pairs = function() local n = 0 for k in pairs(list()) do n = n + #(k .. "") end return n end
cases.pcall = function() return pcall(string.rep, "x", 100) end
cases.xpcall = function()
  local ok, found = xpcall(error, function(m) return #(m .. text()) end, "e")
  if type(found) == "string" then
    assert(found == "error in error handling", found)
    error("not enough memory", 0)
  end
  return found
end
cases.print = false -- writes
cases.warn = false -- writes
cases.rawequal = small(function() return rawequal(text(), text()) end)
cases.rawget = small(function() return rawget(list(), 7) end)
cases.rawlen = small(function() return rawlen(text()) end)
cases.rawset = function() local t = {} for i = 1, 60000 do rawset(t, i .. "key", i) end return t["5key"] end
cases.require = function()
  package.preload["edge.module"] = function() return { n = #text() } end
  package.loaded["edge.module"] = nil
  return require "edge.module".n
end
cases.select = function() return select("#", table.unpack(list())) end
cases.setmetatable = function() local t = {} for i = 1, 20000 do t[i] = setmetatable({}, { __gc = function() end }) end return #t end
cases.tonumber = small(function() return tonumber((" "):rep(SIZE) .. "12") end)
cases.tostring = function() local t = {} for i = 1, 50000 do t[i] = tostring(i + 0.5) end return t[7] end
cases.type = small(function() return type(text()) end)

-- string
cases["string.byte"] = function() return select("#", text():byte(1, 200000)) end
cases["string.char"] = function() return string.char(text():byte(1, 100000)) end
cases["string.dump"] = function() return #string.dump(assert(load("return '" .. text():gsub("\n", "") .. "'"))) end
cases["string.find"] = function() return text():find(("(.-)"):rep(30) .. "$") end
cases["string.format"] = function() return ("%s%q"):format(text(), text()) end
cases["string.gmatch"] = function() local t = {} for w in text():gmatch "%w+" do t[#t + 1] = w .. #t end return #t end
cases["string.gsub"] = function() return text():gsub("%d", "%0%0%0") end
cases["string.len"] = small(function() return #text() end)
cases["string.lower"] = function() return text():lower() end
cases["string.match"] = function() return text():match "^(.*)(.)$" end
cases["string.pack"] = function() return ("s4s4"):pack(text(), text()) end
cases["string.packsize"] = small(function() return ("i4"):rep(1000):packsize() end)
cases["string.rep"] = function() return ("xyz"):rep(SIZE, ",") end
cases["string.reverse"] = function() return text():reverse() end
cases["string.sub"] = function() return text():sub(2) end
cases["string.unpack"] = function() return ("s4"):unpack(("s4"):pack(text())) end
cases["string.upper"] = function() return text():upper() end

-- table
cases["table.concat"] = function() return table.concat(list(), ", ") end
cases["table.insert"] = function() local t = {} for i = 1, 100000 do table.insert(t, i) end table.insert(t, 1, 5) return #t end
cases["table.move"] = function() return #table.move(list(), 1, 60000, 30000, {}) end
cases["table.pack"] = function() return #table.pack(table.unpack(list())) end
cases["table.remove"] = function() local t = list() while #t > 5 do table.remove(t) end return table.remove(t, 1) end
cases["table.sort"] = function() local t = list() table.sort(t, function(a, b) return a .. "" > b .. "" end) return t[1] end
cases["table.unpack"] = function() return select("#", table.unpack(list())) end

-- utf8
cases["utf8.char"] = function() return utf8.char(table.unpack(list(50000), 1, 50000)) end
cases["utf8.codepoint"] = function() return select("#", utf8.codepoint(text(), 1, 100000)) end
cases["utf8.codes"] = function() local n = 0 for _, c in utf8.codes(text():sub(1, 20000)) do n = n + c end return n end
cases["utf8.len"] = small(function() return utf8.len(text()) end)
cases["utf8.offset"] = small(function() return utf8.offset(text(), 1000) end)

-- math: numbers in, numbers out
for name, value in pairs(math) do
  if type(value) == "function" then cases["math." .. name] = false end
end

-- io, os
cases["io.close"] = function() return with_file("x", function(name) return io.close(io.open(name)) end) end
cases["io.flush"] = function() io.output():flush() return true end
cases["io.input"] = function() return io.type(io.input()) end
cases["io.output"] = function() return io.type(io.output()) end
cases["io.lines"] = function() return with_file(text(), function(name) local t = {} for l in io.lines(name) do t[#t + 1] = l .. #t end return #t end) end
cases["io.open"] = function() return with_file("x", function(name) local t = {} for i = 1, 100 do t[i] = io.open(name) end for i = 1, 100 do t[i]:close() end return #t end) end
cases["io.popen"] = function() local f = assert(io.popen("head -c 1000000 /dev/zero")) local s = f:read "a" f:close() return s end
cases["io.read"] = function()
  return with_file(text(), function(name)
    local before <close> = setmetatable({}, { __close = function() io.input(io.stdin) end })
    io.input(name)
    local s = io.read "a"
    io.input():close()
    return s
  end)
end
cases["io.tmpfile"] = function() local f <close> = assert(io.tmpfile()) f:write(text()) f:seek "set" return f:read "a" end
cases["io.type"] = small(function() return io.type(text()) end)
cases["io.write"] = false -- writes
cases["file:close"] = function() local f = io.tmpfile() f:write(text()) return f:close() end
cases["file:flush"] = function() local f <close> = io.tmpfile() f:write(text()) return io.type(f:flush()) end
cases["file:lines"] = function() local f <close> = io.tmpfile() f:write(text()) f:seek "set" local t = {} for a in f:lines(64) do t[#t + 1] = a .. #t end return #t end
cases["file:read"] = function() local f <close> = io.tmpfile() f:write(text()) f:seek "set" return f:read(SIZE, "l", "L", "n") end
cases["file:seek"] = function() local f <close> = io.tmpfile() return f:seek("end", 1000000) end
cases["file:setvbuf"] = function() local t = {} for i = 1, 20 do t[i] = io.tmpfile() t[i]:setvbuf("full", 1 << 20) t[i]:write(("x"):rep(100000)) end for i = 1, 20 do t[i]:close() end return #t end
cases["file:write"] = function() local f <close> = io.tmpfile() return io.type(f:write(text(), 1, 2.5, text())) end
cases["os.clock"] = false
cases["os.date"] = function() return #os.date(("%Y"):rep(100000), 0) end
cases["os.difftime"] = false
cases["os.execute"] = function() return os.execute("true " .. ("x"):rep(10000)) end
cases["os.exit"] = false -- ends
cases["os.getenv"] = function() return os.getenv(("X"):rep(100000)) end
cases["os.remove"] = function() local ok, m = os.remove("/tmp/none/" .. ("x"):rep(100000)) return ok end
cases["os.rename"] = function() local ok, m = os.rename("/tmp/none/" .. ("x"):rep(100000), "/tmp/none/y") return ok end
cases["os.setlocale"] = false
cases["os.time"] = function() return math.type(os.time()) end
cases["os.tmpname"] = function() local n = os.tmpname() os.remove(n) return type(n) end

-- coroutine
cases["coroutine.close"] = function() local n = 0 for i = 1, 2000 do local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) n = n + (coroutine.close(co) and 1 or 0) end return n end
cases["coroutine.create"] = function() local t = {} for i = 1, 2000 do t[i] = coroutine.create(print) end return #t end
cases["coroutine.isyieldable"] = false
cases["coroutine.resume"] = function()
  local co = coroutine.create(function(...) return select("#", ...) end)
  local ok, n = coroutine.resume(co, table.unpack(list()))
  if not ok then error(n, 0) end
  return n
end
cases["coroutine.running"] = false
cases["coroutine.status"] = false
cases["coroutine.wrap"] = function()
  local function deep(n) if n == 0 then return coroutine.yield(1) end return 1 + deep(n - 1) end
  local co = coroutine.wrap(function() return deep(50000) end)
  co()
  return co(5)
end
cases["coroutine.yield"] = function() return coroutine.wrap(function() return select("#", coroutine.yield(table.unpack(list()))) end)() end

-- debug
cases["debug.debug"] = false -- waits for input
cases["debug.gethook"] = false
cases["debug.getinfo"] = function() local t = {} for i = 1, 5000 do t[i] = debug.getinfo(1, "nSlutfrL") end return #t end
cases["debug.getlocal"] = function() local big = text() local n, v = debug.getlocal(1, 1) return n, #v end
cases["debug.getmetatable"] = false
cases["debug.getregistry"] = false
cases["debug.getupvalue"] = false
cases["debug.getuservalue"] = false
cases["debug.setuservalue"] = function() return debug.setuservalue(io.stdout, list(), 1) end
cases["debug.sethook"] = function() local n = 0 debug.sethook(function() n = n + #("x"):rep(1000) end, "l") local a = 1 local b = 2 debug.sethook() return n > 0 end
cases["debug.setlocal"] = function() local big debug.setlocal(1, 1, text()) return #big end
cases["debug.setmetatable"] = function() return #debug.setmetatable(list(), {}) end
cases["debug.setupvalue"] = function() local big local function f() return big end debug.setupvalue(f, 1, text()) return #f() end
cases["debug.traceback"] = function() return #debug.traceback(text()) > SIZE // 2 end
cases["debug.upvalueid"] = false
cases["debug.upvaluejoin"] = false
cases["debug.setcstacklimit"] = false

-- package
cases["package.loadlib"] = function() return (package.loadlib("/tmp/none" .. ("x"):rep(10000), "f")) end
cases["package.searchpath"] = function()
  -- names and paths multiply each other
  local ok, message = pcall(package.searchpath, ("n"):rep(100000), ("?"):rep(100000))
  assert(not ok and message == "not enough memory", message)
  return (package.searchpath("none", ("/tmp/none/?/" .. ("x"):rep(100) .. ";"):rep(3000))) end

-- moonswap: what patches a text needs memory for it
local hot = require "moonswap"
local function module(n)
  local parts = {}
  for i = 1, 300 do parts[i] = "function M.f" .. i .. "(a) return a + " .. n .. " end" end
  return "local M = {} " .. table.concat(parts, "\n") .. " return M"
end
local function loaded(name)
  local chunk, message = load(module(1), "=" .. name)
  local M = (chunk or error(message, 0))()
  return M
end
cases["moonswap.swapstring"] = function()
  local M = loaded "edge-swap"
  local report = hot.swapstring("edge-swap", module(2))
  if M.f7(1) ~= 3 then
    error(tostring(report):find "memory" and "not enough memory" or tostring(report), 0)
  end
  return M.f7(1)
end
for name, value in pairs(hot) do
  local key = "moonswap." .. name
  if type(value) == "function" and cases[key] == nil then cases[key] = false end
end
return cases
