-- Backward jumps of the main chunk over its own locals, captured or not.
local t, n = print, 0
::again:: t("again", n)
local x3 = n
local f = function() return x3 end
n = n + 1
if n < 3 then goto again end
print(f())

local m = 0
::top::
print("top", m)
local y = m
m = m + 1
if m < 3 then goto top end

local fs = {}
::each::
do
  local k = #fs
  fs[#fs + 1] = function() k = k + 1 return k end
end
local last = fs[#fs]
local function again() return #fs < 4 end
if again() then goto each end
for i = 1, #fs do io.write(fs[i](), " ", fs[i](), "; ") end
print(last == fs[4])
goto done
::never:: print("never")
::done::

-- Labels behind the last register of the frame.
for n = 0, 6 do
  local names = {}
  for i = 1, n do names[i] = "v" .. i end
  local list = table.concat(names, ", ")
  local head = n > 0 and "local " .. list .. " = ...\n" or ""
  local forward = assert(load(head .. "do goto out end ::out:: return " .. (n > 0 and list or "'none'")))
  print(n, forward(1, 2, 3, 4, 5, 6))
  local backward = head .. "::top:: goto top"
  print(n, type(assert(load(backward))), type(assert(load(backward .. " ::last:: goto last"))))
end
-- Labels where the frame ends with the variables in front of them.
for _, text in ipairs {
  "local a = 1 local b = 2 ::x:: ;",
  "local a = 1 do goto x end; local v; ::x:: ; ;",
  "local a, b, c = 1, 2, 3 ::x:: ::y:: do end ::z::",
  "local a, b = 1, 2 ::x:: local c = a + 1 a = c if c < 4 then goto x end return c",
} do
  print(assert(load(text))())
end
