return function()
  local s = ("\0"):rep(20000000)
  return ("%q"):format(s)
end
