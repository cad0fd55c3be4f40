-- Escape-time iteration over a square of the complex plane; floats only.
local size = tonumber(arg and arg[1]) or 800
local limit = 100
local inside, total = 0, 0
for row = 0, size - 1 do
  local ci = 2.0 * row / size - 1.0
  for column = 0, size - 1 do
    local cr = 2.0 * column / size - 1.5
    local zr, zi, steps = 0.0, 0.0, 0
    while steps < limit do
      local r2, i2 = zr * zr, zi * zi
      if r2 + i2 > 4.0 then break end
      zr, zi = r2 - i2 + cr, 2.0 * zr * zi + ci
      steps = steps + 1
    end
    total = total + steps
    if steps == limit then inside = inside + 1 end
  end
end
print(size, inside, total)
