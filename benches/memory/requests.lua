-- A request: a file is opened, read and closed; what it says is taken apart.
local name = os.tmpname()
do local f <close> = assert(io.open(name, "w")) f:write "a line of text\n" end
for _ = 1, 100000 do
  local f = assert(io.open(name))
  local text = f:read "a"
  f:close()
  local parts = {}
  for k = 1, 20 do parts[k] = text .. k end
end
os.remove(name)
