-- §3.3.4: goto, labels, continue, nested blocks, fresh locals per pass.
for i = 1, 3 do
  for j = 1, 3 do
    if j == 2 then goto continue end
    if i == 3 then goto done end
    io.write(i, ":", j, " ")
    ::continue::
  end
end
::done::
print()
do
  local i = 1
  ::top::
  if i <= 3 then
    io.write(i, " ")
    i = i + 1
    goto top
  end
  print()
end
do
  local fs, i = {}, 1
  ::again::
  local x = i * 10
  fs[i] = function() x = x + 1 return x end
  i = i + 1
  if i <= 3 then goto again end
  print(fs[1](), fs[1](), fs[2](), fs[3](), fs[1]())
end
do
  goto last
  local unused
  ::last::
end
local function find(t, want)
  for k, v in ipairs(t) do
    if v == want then goto found end
  end
  do return "absent" end
  ::found::
  return "present"
end
print(find({ 1, 2, 3 }, 2), find({ 1, 2, 3 }, 9))
local function errors(source)
  local f, message = load(source, "=src")
  print(f and "fine" or message)
end
errors("goto x")
errors("goto x; local a; ::x:: print(a)")
errors("::x:: ::x::")
errors("do ::x:: end goto x")
errors("goto x; local a; ::x::")
errors("goto x; local a; ::x:: ; ::y::")
errors("::x:: do ::x:: end")
errors("break")
errors("repeat goto x; local a; ::x:: until a")
errors("for i = 1, 2 do break; ::x:: end")
repeat
  local z = 5
  if z == 5 then goto out end
until z
::out::
print("out")
