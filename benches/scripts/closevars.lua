-- To-be-closed variables on normal exits, breaks and errors.
local n = tonumber(arg and arg[1]) or 1700000
local opened, closed, failed = 0, 0, 0
local meta = {
  __close = function(_, e)
    closed = closed + 1
    if e then failed = failed + 1 end
  end,
}
local function open()
  opened = opened + 1
  return setmetatable({}, meta)
end
local function use(i)
  local a <close> = open()
  if i % 3 == 0 then error("stop", 0) end
  for k = 1, 2 do
    local b <close> = open()
    if k == i % 2 then break end
  end
  return i
end
local sum = 0
for i = 1, n do
  local ok, v = pcall(use, i)
  if ok then sum = sum + v end
end
print(opened, closed, failed, sum)
