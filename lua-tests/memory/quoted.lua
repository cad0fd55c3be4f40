return function()
  local s = ("\127"):rep(50000000)
  return ("%q"):format(s)
end
