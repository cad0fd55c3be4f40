-- Arithmetic, comparison, length and call metamethods on small vectors.
local n = tonumber(arg and arg[1]) or 850000
local Vec = {}
Vec.__index = Vec
local function vec(x, y) return setmetatable({ x = x, y = y }, Vec) end
Vec.__add = function(a, b) return vec(a.x + b.x, a.y + b.y) end
Vec.__mul = function(a, k) return vec(a.x * k, a.y * k) end
Vec.__unm = function(a) return vec(-a.x, -a.y) end
Vec.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vec.__lt = function(a, b) return a.x < b.x end
Vec.__len = function(a) return a.x + a.y end
Vec.__call = function(a, k) return a.x * k end
local p, one, equal, less, sum = vec(0, 0), vec(1, 2), 0, 0, 0
for i = 1, n do
  p = p + one * 2
  if p == vec(i * 2, i * 4) then equal = equal + 1 end
  if -p < p then less = less + 1 end
  sum = (sum + #p + p(3)) % 1000003
end
print(p.x, p.y, equal, less, sum)
