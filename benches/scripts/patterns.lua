-- gsub, gmatch, find and match on generated text.
local n = tonumber(arg and arg[1]) or 170
local lines = {}
for i = 1, 400 do
  lines[i] = ("user%d = value_%d ; host%d.example.org:%d # note %x"):format(i, i * 7, i % 9, 8000 + i, i * 977)
end
local text = table.concat(lines, "\n")
local words, keys, sum, swapped, plain = 0, 0, 0, 0, 0
for _ = 1, n do
  for _ in text:gmatch("%a+") do words = words + 1 end
  for key, value in text:gmatch("(%w+)%s*=%s*([%w_]+)") do keys = keys + #key + #value end
  for port in text:gmatch(":(%d+)") do sum = sum + tonumber(port) end
  local replaced, count = text:gsub("(%w+)%.(%w+)", "%2.%1")
  swapped = swapped + count + #replaced
  local _, k = text:gsub("%d+", function(d) return #d > 3 and "<" .. d .. ">" or nil end)
  swapped = swapped + k
  local at = 1
  while true do
    local s, e = text:find("note", at, true)
    if not s then break end
    plain, at = plain + 1, e + 1
  end
end
print(words, keys, sum, swapped, plain)
