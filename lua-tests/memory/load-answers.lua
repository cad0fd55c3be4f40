-- `load` answers nil and the message; it does not raise
return function()
  local source = ("a=a+1 "):rep(2000000)
  local f, message = load(source)
  assert(f == nil)
  error(message, 0)
end
