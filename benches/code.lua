-- What loaded code takes, and how long loading it: name, unit, number on each line.
local function count() collectgarbage() collectgarbage() return collectgarbage("count") * 1024 end
local keep = {}
local function bytes(what, n, make)
  local made = {}
  for i = 1, n do made[i] = false end
  local before = count()
  for i = 1, n do made[i] = make(i) end
  print(("%s\tbytes\t%.1f"):format(what, (count() - before) / n))
  keep[#keep + 1] = made
end
local b = {}
for i = 1, 2000 do
  b[i] = ("do local function f(a,b,c) local t={a,b,x=c} for k,v in pairs(t) do if v~=k then t[k]=v+%d else print('s%d',t.x) end end return t end M.f%d=f end"):format(i, i, i)
end
local text = "local M={} " .. table.concat(b, "\n") .. " return M"
bytes("large chunk", 1, function() return assert(load(text, "=x")) end)
bytes("small chunk", 20000, function(i) return assert(load("return " .. i, "=t")) end)
bytes("unnamed small chunk", 20000, function(i) return assert(load("return " .. i)) end)
local dumped = string.dump(assert(load(text, "=x")))
local best = math.huge
for _ = 1, 20 do
  collectgarbage()
  local start = os.clock()
  assert(load(dumped, "=x", "b"))
  best = math.min(best, os.clock() - start)
end
print(("binary load\tms\t%.3f"):format(best * 1000))
