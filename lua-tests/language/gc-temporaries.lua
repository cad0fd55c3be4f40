-- An object that only dead temporaries refer to is finalised, wherever in a loop the
-- collector takes its steps. What is kept and how much moves the steps about.

local LIMIT = 300000

local loop = [[
  local u, finish, n = nil, false, 0
  u = {setmetatable({}, {__gc = function() finish = true end})}
  local b = {34}
  %s
  assert(b[1] == 34)
  return n
]]

local loops = {
  {"for", "for i = 1, LIMIT do n = i; u = {{}}; if finish then break end end"},
  {"for in", "for i in forever, nil, 0 do n = i; u = {{}}; if finish or i == LIMIT then break end end"},
  {"goto", "::again:: n = n + 1; u = {{}}; if not finish and n < LIMIT then goto again end"},
  {"while", "while not finish and n < LIMIT do n = n + 1; u = {{}} end"},
  {"repeat", "repeat n = n + 1; u = {{}} until finish or n == LIMIT"},
  {"closure", "repeat n = n + 1; u = {function() return n end} until finish or n == LIMIT"},
  {"text", "repeat n = n + 1; u = {n .. 'x'} until finish or n == LIMIT"},
}

function forever(_, i) return i + 1 end

for _, form in ipairs(loops) do
  local late = 0
  for _, size in ipairs{0, 1000, 20000, 100000} do
    for pad = 1, 10 do
      local keep = {}
      for i = 1, size + pad do keep[i] = {} end
      for i = 1, #keep, 3 do keep[i] = false end
      local text = loop:format((form[2]:gsub("LIMIT", LIMIT)))
      if load(text)() >= LIMIT then late = late + 1 end
    end
  end
  print(form[1], late)
end

-- The collector goes on after steps that ended nothing: calls of metamethods, and code
-- without any loop or call.
collectgarbage()
local proxy = setmetatable({}, {__index = function(_, k) return k end})
for i = 1, 30000 do local a = {i} local b, c = proxy[i], proxy[i] end
for i = 1, 1000000 do local a = {i} end
print("metamethods", collectgarbage("count") < 16000)
local text = {"local s = ''"}
for i = 1, 3000 do text[#text + 1] = "s = s .. '" .. ("y"):rep(40) .. "'" end
text[#text + 1] = "return #s"
print("appends", load(table.concat(text, " "))(), collectgarbage("count") < 16000)
