-- what compiling takes, for sources that are within the limit themselves
return function()
  local t = {}
  for i = 1, 1000 do
    t[i] = load(("a=a+1 "):rep(200000)) or error("not enough memory", 0)
  end
end
