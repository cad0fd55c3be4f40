-- at most 12 MiB; the reference takes 1
local name = os.tmpname()
local f = assert(io.open(name, "w")) f:write "one\ntwo\n" f:close()
for i = 1, 20000 do
  for l in io.lines(name) do assert(#l == 3) end
end
os.remove(name)
