-- at most 12 MiB; the reference runs out of files
-- Files that are never closed: the collector hurries for their buffers, and a
-- lack of descriptors makes it look for those that are garbage.
local name = os.tmpname()
local f = assert(io.open(name, "w")) f:write "text\n" f:close()
for i = 1, 5000 do
  local f = assert(io.open(name))
  assert(f:read "l" == "text")
end
local kept = {}
collectgarbage "stop"
for i = 1, 5000 do assert(io.open(name)) end
collectgarbage "restart"
os.remove(name)
