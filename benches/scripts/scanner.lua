-- A hand-written tokenizer for arithmetic, driven by string.byte and sub,
-- with an evaluator on top.
local n = tonumber(arg and arg[1]) or 60000
local byte, sub = string.byte, string.sub
local function tokens(s)
  local list, count, i, len = {}, 0, 1, #s
  while i <= len do
    local c = byte(s, i)
    if c == 32 then
      i = i + 1
    elseif c >= 48 and c <= 57 then
      local j = i
      while j < len do
        local d = byte(s, j + 1)
        if d < 48 or d > 57 then break end
        j = j + 1
      end
      count = count + 1
      list[count] = tonumber(sub(s, i, j))
      i = j + 1
    else
      count = count + 1
      list[count] = sub(s, i, i)
      i = i + 1
    end
  end
  return list
end
local function evaluate(list)
  local at = 1
  local expression
  local function factor()
    local t = list[at]
    at = at + 1
    if t == "(" then
      local v = expression()
      at = at + 1
      return v
    end
    return t
  end
  local function term()
    local v = factor()
    while list[at] == "*" or list[at] == "%" do
      local op = list[at]
      at = at + 1
      local r = factor()
      if op == "*" then v = v * r else v = v % r end
    end
    return v
  end
  function expression()
    local v = term()
    while list[at] == "+" or list[at] == "-" do
      local op = list[at]
      at = at + 1
      local r = term()
      if op == "+" then v = v + r else v = v - r end
    end
    return v
  end
  return expression()
end
local sum = 0
for i = 1, n do
  local s = "(" .. i .. " + 12) * 3 % 1009 - (7 * (" .. i % 13 .. " + 5)) % 17 + 123456 * 2 - (1 + (2 + (3 + 4)))"
  sum = sum + evaluate(tokens(s))
end
print(sum)
