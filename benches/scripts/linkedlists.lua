-- Singly linked lists: built, reversed, filtered, dropped.
local n = tonumber(arg and arg[1]) or 140
local function build(count)
  local list
  for i = 1, count do list = { value = i, next = list } end
  return list
end
local function reverse(list)
  local out
  while list do
    local following = list.next
    list.next = out
    out, list = list, following
  end
  return out
end
local function filter(list)
  local out
  while list do
    if list.value % 3 == 0 then out = { value = list.value, next = out } end
    list = list.next
  end
  return out
end
local total = 0
for _ = 1, n do
  local list = filter(reverse(build(20000)))
  while list do
    total = total + list.value
    list = list.next
  end
end
print(total)
