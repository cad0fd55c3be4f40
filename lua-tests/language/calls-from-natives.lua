-- Natives and metamethods call what is not callable: an error, caught where any
-- error is, also with variables to be closed and coroutines around.

local function broken(event) return setmetatable({}, {[event] = 1}) end

print(pcall(tostring, broken("__tostring")))
print(pcall(string.rep, broken("__tostring"), 2))
print(pcall(function() return broken("__index").x end))
print(pcall(function() return broken("__call")() end))
print(pcall(function() return broken("__len") .. "" end))
print(pcall(function() return #broken("__len") end))
print(pcall(function() return broken("__add") + 1 end))
print(pcall(function() return broken("__lt") < broken("__lt") end))
print(pcall(function() return broken("__concat") .. "x" end))
print(pcall(function() for k in pairs(broken("__pairs")) do end end))
print(pcall(table.concat, {broken("__tostring")}))
print(pcall(string.gsub, "abc", "%w", broken("__index")))
print(select("#", pcall(table.unpack, broken("__index"), 1, 2)))

local log = {}
local co = coroutine.wrap(function()
  local v <close> = setmetatable({}, {__close = function(_, e) log[#log + 1] = tostring(e) end})
  return pcall(tostring, broken("__tostring")), tostring(broken("__tostring"))
end)
print(pcall(co))
print(#log, log[1])

local deep = setmetatable({}, {__tostring = function(t) return tostring(broken("__tostring")) end})
print(pcall(tostring, deep))
