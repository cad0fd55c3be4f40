return function() return ("x"):rep(1 << 40) end, "resulting string too large"
