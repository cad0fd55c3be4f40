-- Yields across pcall, metamethods, iterators, sort's refusal, dofile-like loads.
local function run(f, ...)
  local co = coroutine.create(f)
  local out, args = {}, table.pack(...)
  while true do
    local r = table.pack(coroutine.resume(co, table.unpack(args, 1, args.n)))
    for i = 1, r.n do r[i] = tostring(r[i]) end
    out[#out + 1] = table.concat(r, ",")
    if coroutine.status(co) == "dead" then break end
    args = { "r" .. #out, n = 1 }
  end
  print(table.concat(out, " | "))
end
local yield = coroutine.yield
run(function() return pcall(function() local x = yield(1) return x, yield(2) end) end)
run(function() return pcall(function() yield(1) error("after", 0) end) end)
run(function() return xpcall(function() yield(1) error("after", 0) end, function(m) return "handled " .. m end) end)
run(function() return pcall(pcall, pcall, yield, "deep") end)
run(function() return select(2, pcall(yield, "a")), pcall(error, "b", 0) end)
local mt = {
  __add = function(a, b) return yield("add") end, __concat = function(a, b) return yield("concat") end,
  __eq = function() return yield("eq") end, __lt = function() return yield("lt") end, __le = function() return yield("le") end,
  __index = function(_, k) return yield("index " .. k) end, __newindex = function(_, k, v) yield("newindex " .. k) end,
  __call = function(self, ...) return yield("call", ...) end, __len = function() return yield("len") end,
  __unm = function() return yield("unm") end, __bnot = function() return yield("bnot") end,
  __band = function() return yield("band") end, __shl = function() return yield("shl") end,
}
local function new() return setmetatable({}, mt) end
run(function() local a = new() return a + 1, 1 + a, a .. "x", "x" .. a end)
run(function() local a, b = new(), new() return a == b, a ~= b, a < b, a <= b, a > 1, not (a < b) end)
run(function() local a = new() a.key = 1 return a.field, a[1], a("arg"), #a, -a, ~a, a & 1, a << 1 end)
run(function() local a, b = new(), new() if a == b then return "then" else return "else" end end)
run(function() local a = new() local r = {} for i = 1, 2 do r[i] = a.x end return table.concat(r, "+") end)
run(function() return "a" .. "b" .. new() .. "c" end)
run(function()
  local r = {}
  for v in function(_, k) return yield("iter") ~= "r3" and "v" or nil end do r[#r + 1] = v end
  return #r
end)
run(function() for k, v in pairs(setmetatable({}, { __pairs = function(t) yield("pairs") return next, { 5 }, nil end })) do yield(k, v) end end)
run(function() return pcall(table.sort, { 3, 1, 2 }, function(a, b) yield() return a < b end) end)
run(function() return pcall(string.gsub, "abc", "%w", function() yield() end) end)
run(function() return load("local a = coroutine.yield('loaded') return a")() end)
run(function() local inner = coroutine.wrap(function() yield("inner") return "inner end" end) yield(inner()) return inner() end)
run(function(...) local t = { yield(...), yield("two") } return #t, table.unpack(t) end, "a", "b")
run(function() return (yield("paren")) end)
run(function() local t = setmetatable({}, { __tostring = function() return yield("x") end }) return pcall(tostring, t) end)
run(function() return require == nil, pcall(load, function() return yield("reader") end) end)
