-- expect: 'end' expected (to close 'if' at line 3) near <eof>
local x = 1
if x then
  print(x)
