-- at most 12 MiB; the reference takes 1
for i = 1, 3000 do
  local f <close> = assert(io.tmpfile())
  f:setvbuf("full", 65536)
  f:write(("x"):rep(100))
  f:seek "set"
  assert(f:read "n" == nil)
end
