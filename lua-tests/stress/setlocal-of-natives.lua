-- What natives work with can not be taken from them through the debug library:
-- the handler of xpcall, the comparator and the table of sort.
local function replace(level)
  for i = 1, 20 do pcall(debug.setlocal, level, i, {}) end
  collectgarbage()
end

print(xpcall(function() error("first") end, function(message)
  for level = 4, 6 do replace(level) end
  local _ = nil + message
end))

local sorted = 0
pcall(table.sort, {5, 4, 3, 2, 1}, function(a, b)
  for level = 4, 4 do replace(level) end
  sorted = sorted + 1
  return false
end)
print(sorted > 0)

-- the reference hands its own slots out, and gsub fails of it
print(pcall(string.gsub, "abc", "%w", function(letter)
  replace(4)
  return letter == "b" and "B"
end) ~= nil)
