-- message handlers run where the error is raised, also inside the callbacks of natives
local function h(m) return debug.traceback("H:" .. tostring(m), 1) end
local function cb() error("boom") end
print(xpcall(function() local t = {3,2,1} table.sort(t, cb) return 1 end, h))
print(xpcall(function() string.gsub("abc", ".", cb) return 1 end, h))
print(xpcall(function() string.gsub("abc", ".", function() local t = {3,2,1} table.sort(t, function() local x = nil; x() end) end) return 1 end, h))
local co = coroutine.create(function() string.gsub("abc", ".", function() local t = {3,2,1} table.sort(t, cb) end) end)
print(coroutine.resume(co)) print(debug.traceback(co))
collectgarbage() collectgarbage()
print(debug.traceback(co)) print(coroutine.close(co))
local co = coroutine.create(function() local t = {3,2,1} table.sort(t, function(a) return a.x end) end)
print(coroutine.resume(co)) print(debug.traceback(co), debug.getinfo(co, 0, "l").currentline)
-- a handler runs once, and only for errors that the xpcall catches
local n = 0
local function count(m) n = n + 1 return m end
print(xpcall(function() pcall(table.sort, {3,2,1}, function() error("in", 0) end) error("out", 0) end, count), n)
n = 0
print(xpcall(function() table.sort({3,2,1}, function() pcall(error, "in", 0) error("out", 0) end) end, count), n)
n = 0
print(xpcall(function() table.sort({3,2,1}, function() xpcall(error, count, "in") error("out", 0) end) end, count), n)
n = 0
print(xpcall(function() coroutine.wrap(function() table.sort({3,2,1}, function() error("co", 0) end) end)() end, count), n)
n = 0
print(xpcall(function() load(function() error("r", 0) end) error("r", 0) end, count))
print(xpcall(table.sort, h, {3,2,1}, function() table.concat({{}}) end))
print(xpcall(function() string.gsub("x", ".", function() local a <close> = setmetatable({}, {__close = function(_, e) print("closing", e) error("in close", 0) end}) error("first", 0) end) end, function(m) n = n + 1 return "<" .. tostring(m) .. ">" end), n)
print(xpcall(string.gsub, function(m) error("again", 0) end, "x", ".", function() error("first", 0) end))
print(xpcall(function() string.rep(setmetatable({}, {__index = function() error("idx") end}).x, 2) end, h))
print(xpcall(function() table.concat(setmetatable({}, {__len = function() return 3 end, __index = function(_, i) error("at " .. i) end})) end, h))
print(xpcall(function() table.sort({3,2,1}, 5) end, h))
print(xpcall(function() print(setmetatable({}, {__tostring = 5})) end, h))
print(xpcall(function() for w in string.gmatch("a", ".") do string.gsub("a", ".", setmetatable({}, {__index = function() return {} .. {} end})) end end, h))
-- the handler bears the name of what failed
print(xpcall(function() local x = nil; x() end, h))
print(xpcall(function() return {} .. {} end, h))
print(xpcall(function() local t = nil; return t.x end, h))
print(xpcall(function() error("x") end, h))
print(xpcall(function() local t = {} return t < t end, h))
print(xpcall(function() for i in 5 do end end, h))
print(xpcall(function() for i = 1, {} do end end, h))
print(xpcall(function() local t <close> = 5 end, h))
print(xpcall(function() string.gsub("x", ".", function() local t = nil; return t.x end) end, h))
print(xpcall(function() string.gsub("x", ".", function() local t = nil; return #t end) end, h))
print(xpcall(function() string.gsub("x", ".", function() local t = nil; t.x = 1 end) end, h))
