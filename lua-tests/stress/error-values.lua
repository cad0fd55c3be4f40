-- Errors with odd values, thrown and caught in odd places.
local function grow(n) if n == 0 then return 0 end return 1 + grow(n - 1) end
local values = { nil, false, true, 0, 0 / 0, "s", {}, print, coroutine.create(print), setmetatable({}, { __tostring = function() return "T" end }), io.stdout, function() end, n = 12 }
local co = coroutine
local ways = {
  plain = function(v) return pcall(error, v) end,
  level = function(v) return pcall(error, v, 2) end,
  deep = function(v) local function r(n) if n == 0 then error(v, 0) end r(n - 1) return 1 end return pcall(r, 100) end,
  meta = function(v) return pcall(function() return setmetatable({}, { __index = function() error(v, 0) end }).x end) end,
  close = function(v) return pcall(function() local c <close> = setmetatable({}, { __close = function() error(v, 0) end }) grow(50) end) end,
  close2 = function(v) return pcall(function() local a <close> = setmetatable({}, { __close = function(_, e) error(e, 0) end }) error(v, 0) end) end,
  co = function(v) return co.resume(co.create(function() grow(20) error(v, 0) end)) end,
  wrap = function(v) return pcall(co.wrap(function() co.yield() error(v, 0) end)) end,
  sort = function(v) return pcall(table.sort, { 1, 2, 3 }, function() error(v, 0) end) end,
  gsub = function(v) return pcall(string.gsub, "abc", ".", function() error(v, 0) end) end,
  xpcall = function(v) return xpcall(error, function(e) grow(30) return e end, v, 0) end,
  handler = function(v) return xpcall(error, function(e) collectgarbage() return v end, "other") end,
  load = function(v) return pcall(load, function() error(v, 0) end) end,
  iterator = function(v) return pcall(function() for _ in function() error(v, 0) end do end end) end,
  tostring = function(v) return pcall(tostring, setmetatable({}, { __tostring = function() error(v, 0) end })) end,
  assert = function(v) return pcall(assert, false, v) end,
}
local names = {}
for name in pairs(ways) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local out = {}
  for i = 1, values.n do
    local v = values[i]
    local r = table.pack(ways[name](v))
    local e = r[2]
    local same = rawequal(e, v) or (v ~= v and e ~= e)
    out[i] = (r[1] and "T" or "F") .. (same and "=" or type(e):sub(1, 3))
  end
  print(name, table.concat(out, " "))
end
-- handlers that fail, recurse, yield
print(xpcall(error, error, "x"))
print(select("#", xpcall(error, function() return 1, 2, 3 end)))
local n = 0
print(xpcall(error, function(e) n = n + 1 if n < 5 then error(n) end return "at " .. n end, "x"))
print(co.resume(co.create(function() return xpcall(error, function() co.yield() end, "x") end)))
-- an error on its way meets closes that yield, fail and collect
local log = {}
local c = co.wrap(function()
  return pcall(function()
    local a <close> = setmetatable({}, { __close = function(_, e) log[#log + 1] = "a" .. tostring(e) co.yield(1) collectgarbage() end })
    local b <close> = setmetatable({}, { __close = function(_, e) log[#log + 1] = "b" .. tostring(e) error("b", 0) end })
    local d <close> = setmetatable({}, { __close = function(_, e) log[#log + 1] = "d" .. tostring(e) co.yield(2) error("d", 0) end })
    error("body", 0)
  end)
end)
print(c(), c(), select(2, c()), table.concat(log, " "))
-- stack overflow is caught again and again, with variables to be closed
local closed = 0
for i = 1, 3 do
  local ok, e = pcall(function()
    local function r() local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end }) return r() + 1 end
    return r()
  end)
  io.write(tostring(ok), " ", tostring(tostring(e):find("stack overflow") ~= nil), " ")
end
print(closed > 0)
