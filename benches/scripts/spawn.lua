-- Short-lived coroutines: creation, two switches, end.
local n = tonumber(arg and arg[1]) or 1800000
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local function job(a)
  local b = yield(a * 2)
  return a + b
end
local total = 0
for i = 1, n do
  local co = create(job)
  local _, doubled = resume(co, i)
  local _, result = resume(co, doubled)
  total = (total + result) % 1000000007
end
print(total)
