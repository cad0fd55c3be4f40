return function()
  local t = {}
  while true do t[#t + 1] = string.pack("!16 i16 z s8 c1000000", #t, "abc", ("d"):rep(100000), "") end
end
