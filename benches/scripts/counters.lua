-- Closures that share and own captured variables.
local n = tonumber(arg and arg[1]) or 1100000
local function counter(step)
  local value, calls = 0, 0
  local function up()
    calls = calls + 1
    value = value + step
    return value
  end
  local function down()
    calls = calls + 1
    value = value - 1
    return value
  end
  return up, down, function() return calls end
end
local total = 0
for i = 1, n do
  local up, down, calls = counter(i & 3)
  for _ = 1, 3 do up() end
  total = total + down() + calls()
end
local up = counter(2)
for _ = 1, n * 6 do up() end
print(total, up())
