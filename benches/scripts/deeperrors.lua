-- Errors raised some frames down, run-time errors with variable names, and
-- handlers that add to the message.
local n = tonumber(arg and arg[1]) or 420000
local function down(depth, what)
  if depth == 0 then
    if what == 0 then error("leaf", 0) end
    if what == 1 then
      local missing
      return missing.field
    end
    return #what + nil
  end
  local r = down(depth - 1, what)
  return r
end
local function handler(m) return "<" .. m .. ">" end
local len, failures = 0, 0
for i = 1, n do
  local ok, message = xpcall(down, handler, 8, i % 2)
  if not ok then
    failures, len = failures + 1, len + #message:match("[^:]*$")
  end
  ok, message = pcall(pcall, error, i)
  if ok then len = len + 1 end
end
print(failures, len)
