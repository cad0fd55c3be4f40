-- expect: resulting string too large
return ("x"):rep(1 << 62)
