-- one string constant without end
return function()
  local i = 0
  local ok, message = load(function()
    i = i + 1
    return i == 1 and "return '" or ("x"):rep(10000)
  end)
  if not ok then error(message, 0) end
end
