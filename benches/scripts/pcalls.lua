-- pcall around functions that succeed, and around ones that raise.
local n = tonumber(arg and arg[1]) or 3700000
local pcall, error = pcall, error
local function work(i)
  if i % 4 == 0 then error("bad") end
  if i % 7 == 0 then error({ code = i }) end
  return i
end
local ok, bad, codes = 0, 0, 0
for i = 1, n do
  local fine, result = pcall(work, i)
  if fine then
    ok = ok + 1
  elseif type(result) == "table" then
    codes = codes + result.code % 10
  else
    bad = bad + #result
  end
end
print(ok, bad, codes)
