-- Errors that meet to-be-closed variables, collections and full stacks on their way.
local co = coroutine.create(error); print(coroutine.resume(co, 'x')); print(coroutine.close(co)); print(coroutine.close(co))
-- close with gc
local log={}
local function mk(n) return setmetatable({}, {__close=function(o,e) collectgarbage() log[#log+1]=n..tostring(e) end}) end
local up
local co = coroutine.create(function() local a <close> = mk"a" local s = {} up=function() return s end local b <close> = mk"b" coroutine.yield(1) end)
coroutine.resume(co) print(coroutine.close(co)) print(table.concat(log,",")) print(type(up()))
-- host close above
log={}
print(pcall(table.sort,{3,2,1,5,4}, function(a,b) local x <close> = mk"s" local y = "keep" error("boom") end)) print(table.concat(log,","))
log={}
print(pcall(string.gsub,"abc",".", function(a,b) local x <close> = setmetatable({},{__close=function() log[#log+1]=debug.traceback("tb") error("second",0) end}) error({}) end)) print(#log)
-- overflow repeated
local function rec() return 1+rec() end
for i=1,6 do print(xpcall(rec, function(m) return #debug.traceback(m)>0 and m end)) end
for i=1,3 do print(pcall(rec)) end
print(xpcall(error, function(m) error(m) end, 1))
local n=0
print(xpcall(error, function(m) n=n+1 if n<50 then error(m) end return "done"..n end, 1))
-- tail
local function loop(n) local t={n} if n>0 then return loop(n-1) end return collectgarbage"count" < 60000 end
print(loop(2000000))
-- tail calls with a variable number of arguments are safe points too
local function multi(...)
  local n = ...
  if n > 0 then return multi(table.unpack({n - 1, 2, 3})) end
  return collectgarbage("count") < 60000
end
print(multi(500000))
-- many methods that cannot be called any more
local mt = {__close = function() end}
local function nest(n) local x <close> = setmetatable({}, mt) if n == 0 then mt.__close = nil error("z") end nest(n - 1) end
print((pcall(nest, 20000)))
-- a coroutine first seen by the collector while it runs
collectgarbage() collectgarbage("incremental", 100, 100)
local cos = {}
for round = 1, 300 do
  local co = coroutine.wrap(function() local kept while true do kept = {round, {}} for i = 1, 200 do local t = {i} end coroutine.yield(kept) assert(kept[1] == round and #kept[2] == 0) end end)
  cos[round % 10] = co
  for i = 1, 3 do for k = 0, 9 do if cos[k] then cos[k]() end end end
end
print("kept")
