-- tables, closures and strings made without any safe point in between
local code = "local x = ... return {" .. ("{},{{}},function() return x end,"):rep(20000) .. "}"
local f = assert(load(code, "=straight"))
return function()
  local t = {}
  while true do t[#t + 1] = f() end
end
