-- at most 12 MiB; the reference takes 1
local name = os.tmpname()
local f = assert(io.open(name, "w")) f:write "text\n" f:close()
for i = 1, 30000 do
  local f = assert(io.open(name))
  local s = f:read "a"
  f:close()
  local t = {}
  for k = 1, 20 do t[k] = s .. k end
end
os.remove(name)
