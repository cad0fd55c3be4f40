-- load with environments and readers, string.dump, require with preload and searchers.
print(load("return 1 + 1")(), load("return ...")(7, 8))
local parts = { "return ", "1", " + ", "41" }
local i = 0
print(load(function() i = i + 1 return parts[i] end)())
print(load("x = 5 return x", "=c", "t", {})(), x)
local env = { y = 1 }
local f = load("y = y + 1 return y", "=c", "bt", env)
print(f(), f(), env.y, y)
print(load("syntax error here", "=c"))
print(load("return 1", "=c", "b"))
local d = string.dump(function(a, b) return a * b + 1 end)
print(type(d), d:sub(1, 4) == "\27Lua", load(d, "d", "b")(6, 7), load(d, "d", "t"))
local up = 10
local function captures() up = up + 1 return up end
local g = load(string.dump(captures))
print(pcall(g) == false, captures())
print(load(string.dump(load("return ...")))("vararg"), load(string.dump(function() return 1 end, true))())
print(pcall(string.dump, print))
print(load(d:sub(1, 20), "trunc", "b") == nil)
package.preload.mod = function(name, extra) return { name = name, extra = extra, n = (_G.loads or 0) } end
local m, where = require "mod"
print(m.name, m.extra, where, require "mod" == m, package.loaded.mod == m)
package.preload.nothing = function() end
print(require "nothing", package.loaded.nothing)
package.preload.sets = function(name) package.loaded[name] = "set by itself" end
print(require "sets")
package.loaded.given = "already there"
print(require "given")
print(#package.searchers, type(package.path), package.config:sub(1, 1) == "/")
table.insert(package.searchers, 2, function(name) if name == "virtual.module" then return function(...) return { ... } end, "from nowhere" end return "\n\tno virtual '" .. name .. "'" end)
local v, from = require "virtual.module"
print(v[1], v[2], from)
local ok, message = pcall(require, "does.not.exist")
print(ok, message:match("^module 'does.not.exist' not found:"), message:find("no field package.preload['does.not.exist']", 1, true) ~= nil, message:find("no virtual 'does.not.exist'", 1, true) ~= nil)
package.preload.broken = function() error("broken module", 0) end
print(pcall(require, "broken")) print(package.loaded.broken)
print(package.searchpath("no.such", "./?.lua;./?/init.lua"))
print(package.searchpath("loading", "./?.lua"), package.searchpath("a-b", "?", "-", "+"))
package.path = "./?.nolua"
package.searchers[3] = function() return nil end
print(select(2, pcall(require, "zzz")):match("^module 'zzz' not found:"))
print(dofile == nil, loadfile("nonexistent.lua"))
print(select(2, pcall(dofile, "nonexistent.lua")))

-- Chunk names end at a zero byte in messages.
for _, name in ipairs { "=a\0b", "@a\0b", "a\0b", "=\0b" } do
  print(select(2, load("\27Lua", name)), select(2, load("x x", name)))
end
