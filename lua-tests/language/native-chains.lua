-- Natives and errors that call natives without end: each call must leave the
-- native stack as it was.
local own = setmetatable({}, {__pairs = pairs})
print(pcall(pairs, own) == false)
print(pcall(coroutine.wrap(function() return pairs(own) end)) == false)

-- many `__close` methods in a row that fail in a native
local meta = {__close = error}
local function deep(n)
    local x <close> = setmetatable({}, meta)
    if n > 0 then return (deep(n - 1)) end
    error 'x'
end
local ok, e = pcall(deep, 50000)
print(ok, getmetatable(e) == meta)
local co = coroutine.create(deep)
print((coroutine.resume(co, 50000)))
print((coroutine.close(co)))

-- a chain that ends: results pass through, as many as asked for
local chain = setmetatable({}, {__pairs = function() return 1, 2, 3, 4 end})
for i = 1, 100 do
    local inner = chain
    chain = setmetatable({}, {__pairs = function() return pairs(inner) end})
end
print(pairs(chain))
print(pcall(pairs, setmetatable({}, {__pairs = select})))
print(pcall(pairs, setmetatable({}, {__pairs = setmetatable({}, {__call = function(...) return select('#', ...) end})})))
