-- __call, __tostring, __name, __pairs, __close, __metatable, __mode by effect.
local callable = setmetatable({}, { __call = function(self, ...) return select("#", ...), ... end })
print(callable(), callable(1, nil), (pcall(callable, "x")))
local outer = setmetatable({}, { __call = callable })
print((outer("a")))
print(pcall(function() return setmetatable({}, { __call = 5 })() end))
print(tostring(setmetatable({}, { __tostring = function() return "shown" end })))
print(pcall(tostring, setmetatable({}, { __tostring = function() return 5 end })))
print((tostring(setmetatable({}, { __name = "My.Type" })):gsub("0x%x+", "ADDR")))
print(pcall(string.rep, setmetatable({}, { __name = "My.Type" })))
local shown = {}
for k, v in pairs(setmetatable({}, { __pairs = function(self) return function(_, k) k = (k or 0) + 1 if k < 4 then return k, k * k end end, self, nil end })) do
  shown[#shown + 1] = k .. "=" .. v
end
print(table.concat(shown, " "))
for i, v in ipairs(setmetatable({}, { __index = function(_, i) if i < 4 then return i * 10 end end })) do io.write(i, "=", v, " ") end
print()
print(#setmetatable({}, { __len = function() return 42 end }), rawlen(setmetatable({ 1 }, { __len = function() return 42 end })))
print(table.concat(setmetatable({}, { __index = function(_, i) return "e" .. i end, __len = function() return 3 end }), ","))
print(table.unpack(setmetatable({}, { __index = function(_, i) return i end, __len = function() return 3 end })))
local weak = setmetatable({}, { __mode = "k" })
weak[{}] = 1
local kept = {}
weak[kept] = 2
collectgarbage() collectgarbage()
local n = 0
for _ in pairs(weak) do n = n + 1 end
print(n, weak[kept])
local values = setmetatable({}, { __mode = "v" })
values[1], values[2], values[3] = {}, kept, "string"
collectgarbage() collectgarbage()
print(values[1], values[2] == kept, values[3])
local finalized = {}
do
  for i = 1, 3 do setmetatable({}, { __gc = function() finalized[#finalized + 1] = i end }) end
end
collectgarbage() collectgarbage()
table.sort(finalized)
print(table.concat(finalized, " "))
local resurrected
do
  local x = setmetatable({ v = "back" }, { __gc = function(o) resurrected = o end })
end
collectgarbage() collectgarbage()
print(resurrected and resurrected.v)
local ephemeron = setmetatable({}, { __mode = "k" })
do local k = {} ephemeron[k] = { k } end
collectgarbage() collectgarbage()
print(next(ephemeron))
