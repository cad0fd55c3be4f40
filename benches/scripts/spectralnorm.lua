-- Largest singular value by the power method: small functions in hot loops.
local n = tonumber(arg and arg[1]) or 640
local function A(i, j)
  local ij = i + j - 1
  return 1.0 / (ij * (ij - 1) * 0.5 + i)
end
local function times(x, y, transposed)
  for i = 1, n do
    local sum = 0.0
    for j = 1, n do
      if transposed then sum = sum + x[j] * A(j, i) else sum = sum + x[j] * A(i, j) end
    end
    y[i] = sum
  end
end
local u, v, t = {}, {}, {}
for i = 1, n do u[i] = 1 end
for _ = 1, 10 do
  times(u, t, false)
  times(t, v, true)
  times(v, t, false)
  times(t, u, true)
end
local vbv, vv = 0, 0
for i = 1, n do
  vbv = vbv + u[i] * v[i]
  vv = vv + v[i] * v[i]
end
print(string.format("%.9f", math.sqrt(vbv / vv)))
