-- Table constructors and the identities of the literals in them.
local M = {
  start = function() end,
  ["stop"] = function() end,
  [1] = function() end,
  nested = { on = function() end, off = function() end },
  function() end,
  function(...) return ... end,
}
local empty = {}
local fifty = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,
  31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,f()}
function M.update(dt) end
function M:draw() return self end
M.list[1] = function() end
M["key"] = function() end
local hit, miss = function() end, function() end
timer.every(1, function() end)
timer.every(2, function() end)
bus:on("death", function() end, { once = function() end })
--@id healer
local function heal() end
return function() end, { field = function() end }
