return function()
  local t = {}
  while true do
    local a, b, c, d
    t[#t + 1] = function() return a, b, c, d end
  end
end
