-- Matrix product of two square matrices of floats, second one transposed.
local n = tonumber(arg and arg[1]) or 370
local function fill(f)
  local m = {}
  for i = 1, n do
    local row = {}
    for j = 1, n do row[j] = f(i, j) end
    m[i] = row
  end
  return m
end
local function transpose(m)
  return fill(function(i, j) return m[j][i] end)
end
local function multiply(a, b)
  local t = transpose(b)
  local c = {}
  for i = 1, n do
    local ai, ci = a[i], {}
    for j = 1, n do
      local bj, sum = t[j], 0.0
      for k = 1, n do sum = sum + ai[k] * bj[k] end
      ci[j] = sum
    end
    c[i] = ci
  end
  return c
end
local a = fill(function(i, j) return (i - j) * (i + j + 0.5) / n + 1 end)
local b = fill(function(i, j) return (i * j % 7) / 3 end)
local c = multiply(a, b)
local trace = 0.0
for i = 1, n do trace = trace + c[i][i] end
print(string.format("%.6f %.6f", trace, c[n // 2][n // 3]))
