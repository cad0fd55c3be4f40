-- __index and __newindex functions, defaults and chains of tables.
local n = tonumber(arg and arg[1]) or 5000000
local reads, writes = 0, 0
local function proxy(target)
  return setmetatable({}, {
    __index = function(_, k)
      reads = reads + 1
      return target[k]
    end,
    __newindex = function(_, k, v)
      writes = writes + 1
      target[k] = v
    end,
  })
end
local default = setmetatable({}, { __index = function(_, k) return k * 2 end })
local chain = setmetatable({}, { __index = setmetatable({}, { __index = setmetatable({}, { __index = { deep = 5 } }) }) })
local p = proxy({ count = 0 })
local sum = 0
for i = 1, n do
  p.count = p.count + 1
  sum = sum + default[i] + chain.deep
end
print(p.count, sum, reads, writes)
