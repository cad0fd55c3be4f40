-- Runs a program of benches/scripts and tells on the standard error how much CPU
-- time it took, in seconds:
--
--   moonswap timed.lua PATCHES SCRIPT [ARGUMENTS]
--
-- With PATCHES > 0 the program is patched that often before it runs: by turns with
-- its text and with the same text two lines further down, so that every function
-- of it is replaced each time. What runs then is the last version.
local n_patches, script = tonumber(arg[1]), arg[2]
local file = assert(io.open(script))
local text = file:read("a")
file:close()
local name = "@" .. script
local main = assert(load(text, name))
if n_patches > 0 then
  local hot = require "moonswap"
  for i = 1, n_patches do
    local ok, refused = hot.swapstring(name, (i % 2 == 1 and "\n\n" or "") .. text)
    if not ok then error(tostring(refused)) end
  end
  assert(hot.version(main))
end
table.remove(arg, 1)
table.remove(arg, 1)
arg[0] = script
collectgarbage()
collectgarbage()
local start = os.clock()
main(table.unpack(arg))
io.stderr:write(("TIME %.6f\n"):format(os.clock() - start))
