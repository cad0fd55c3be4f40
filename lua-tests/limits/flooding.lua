-- Keys made to collide: filling a table with them and reading them back costs
-- less than three times what as many ordinary keys of the same kind and length
-- cost. Prints a line per set; fails with those that are slower.
local N <const> = 100000
local ATTEMPTS <const> = 7

-- Sets of keys: what they are compared with, and what makes the i-th key. The
-- ordinary ones are pseudo-random, as long as the crafted ones.
local function random_text(length)
  return function(i)
    local parts = {}
    local x = i
    for at = 1, (length + 7) // 8 do
      x = (x ~ (x >> 29)) * 0x5851F42D4C957F2D + at
      parts[at] = string.pack("j", x)
    end
    return table.concat(parts):sub(1, length)
  end
end
local function random_integer(i)
  i = (i ~ (i >> 31)) * 0x5851F42D4C957F2D + i
  return i ~ (i >> 33)
end
local function random_float(i)
  return (random_integer(i) >> 12) + 0.5
end
local function around(length, place)
  return function(i)
    local number = ("%06d"):format(i)
    return ("x"):rep(place) .. number .. ("x"):rep(length - place - 6)
  end
end
local SETS <const> = {
  { "integers, equal low 20 bits", random_integer, function(i) return i << 20 end },
  { "integers, equal low 32 bits", random_integer, function(i) return i << 32 end },
  { "integers, equal low 46 bits", random_integer, function(i) return i << 46 end },
  { "integers, halves alike", random_integer, function(i) return i << 32 | i end },
  { "integers, halves opposite", random_integer, function(i) return i << 32 | ~i & 0xFFFFFFFF end },
  { "integers, negative", random_integer, function(i) return -i << 40 end },
  { "multiples of a prime", random_integer, function(i) return i * 0x7FFFFFFF end },
  { "multiples of the golden ratio", random_integer, function(i) return i * 0x9E3779B97F4A7C15 end },
  { "multiples of its inverse", random_integer, function(i) return i * 0xF1DE83E19937733D end },
  { "floats, equal low bits", random_float, function(i) return i * 2.0 ^ 70 end },
  { "floats, small", random_float, function(i) return i * 2.0 ^ -60 end },
  { "floats, exponents", random_float, function(i)
    return 2.0 ^ (i % 1000 - 1030) * (1 + i // 1000 * 2.0 ^ -10)
  end },
  { "strings of Aa and BB", random_text(34), function(i)
    local parts = {}
    for bit = 0, 16 do parts[bit + 1] = i >> bit & 1 == 0 and "Aa" or "BB" end
    return table.concat(parts)
  end },
  { "strings, equal beginnings", random_text(36), around(36, 30) },
  { "strings, equal ends", random_text(36), around(36, 0) },
  { "strings, equal but for the middle", random_text(36), around(36, 15) },
  { "long strings, equal beginnings", random_text(206), around(206, 200) },
  { "long strings, equal ends", random_text(206), around(206, 0) },
  { "long strings, equal but for the middle", random_text(206), around(206, 100) },
  { "strings of zeros", random_text(16), function(i)
    return ("\0"):rep(i % 32) .. string.char(1 + i // 32 % 255, 1 + i // 8160 % 255)
  end },
}

local function fill(keys)
  local t = {}
  for i = 1, N do t[keys[i]] = i end
  local sum = 0
  for i = 1, N do sum = sum + t[keys[i]] end
  assert(sum == N * (N + 1) // 2)
end

-- The best of some attempts, in seconds of processor time.
local function best(keys, before)
  collectgarbage()
  local start = os.clock()
  fill(keys)
  return math.min(before, os.clock() - start)
end

local slow = {}
for _, set in ipairs(SETS) do
  local name, ordinary, crafted = table.unpack(set)
  local usual, made = {}, {}
  for i = 1, N do usual[i], made[i] = ordinary(i), crafted(i) end
  local a, b = math.huge, math.huge
  for attempt = 1, ATTEMPTS do
    a, b = best(usual, a), best(made, b)
    if attempt > 2 and b < 2 * a then break end
  end
  local line = ("%5.2f times  %s"):format(b / a, name)
  print(line)
  if b > 3 * a then slow[#slow + 1] = line end
end
assert(#slow == 0, "flooded:\n" .. table.concat(slow, "\n"))
