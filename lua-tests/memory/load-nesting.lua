return function()
  local i = 0
  local ok, message = load(function()
    i = i + 1
    return i == 1 and "return {" or "{1,2,a=3,function() end},'" .. i .. "',"
  end)
  if not ok then error(message, 0) end
end
