return function()
  local ok, message = load(function() return "x = 1; x = x + 1; do local y = {} end " end)
  if not ok then error(message, 0) end
end
