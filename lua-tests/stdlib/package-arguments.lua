-- The package library: paths, searchers, preload, messages, what require returns.
local real_print = print
local function print(...)
  local r = table.pack(...)
  for i = 1, r.n do
    r[i] = tostring(r[i]):gsub("%a+: [xX%x]*%x%x%x%x%x%x+", "ADDRESS"):gsub("0x%x%x%x%x%x%x+", "ADDRESS")
  end
  real_print(table.concat(r, "\t"))
end
local function t(label, f, ...) print(label, pcall(f, ...)) end
print(package.config) local ks = {} for k in pairs(package) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," ")) ks = {} for k in pairs(package.loaded) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," ")) print(#package.searchers, package.loaded._G==_G, package.loaded.package==package)
package.path = "./?.x;./?/init.x" package.cpath = "./?.so;./c/?.so"
t("searchpath", package.searchpath, "a.b.c", "./?.x;/y/?/z;?") t("searchpath", package.searchpath, "a.b", "./?.x", "", "") t("searchpath", package.searchpath, "a.b", "./?.x", "b", "Q") t("searchpath", package.searchpath, "a.b", "./?.x", ".", "::") t("searchpath", package.searchpath, "a-b", "?;?", "-", "+") t("searchpath", package.searchpath, "a", "") t("searchpath", package.searchpath, "", "./?.x") t("searchpath", package.searchpath, "a") t("searchpath", package.searchpath, "a", "no mark") t("searchpath", package.searchpath, "a", ";;?.x;") t("searchpath", package.searchpath, "a%b.%1", "?.%1") t("searchpath", package.searchpath, "a", {}) 
t("require", require) t("require", require, {}) t("require", require, "no.such.module") t("require", require, "") t("require", require, 5) 
package.preload.pre = function(...) print("preload", ...) return nil end print(require "pre") print(require "pre") print(package.loaded.pre) package.preload.pre2 = function() return false end print(require "pre2") print(package.loaded.pre2) print(require "pre2") package.preload.pre3 = function(n) package.loaded[n] = "set" end print(require "pre3") print(require "pre3") package.preload.pre4 = function() error("broken", 0) end t("pre4", require, "pre4") package.preload.pre5 = 5 t("pre5", require, "pre5") package.preload.pre5 = nil
print(package.searchers[1]("nothing")) print(package.searchers[2]("nothing")) print(package.searchers[3]("nothing")) print(package.searchers[4]("nothing")) print(package.searchers[4]("noth.ing")) print(package.searchers[3]("v-noth.ing")) print(package.searchers[1]("pre") ~= nil, select(2, package.searchers[1]("pre")))
local f = io.open("mod_ok.x", "w") f:write("print('loading', ...) return {...}") f:close() f = io.open("mod_bad.x", "w") f:write("x =") f:close() f = io.open("mod_err.x", "w") f:write("error('in module')") f:close() f = io.open("mod_nil.x", "w") f:write("print((...))") f:close()
print(select(2, require "mod_ok")) print(select(2, require "mod_ok")) print(#require "mod_ok") t("bad", require, "mod_bad") t("err", require, "mod_err") print(require "mod_nil") print(package.loaded.mod_bad, package.loaded.mod_err) print(select(2, package.searchers[2]("mod_ok"))) t("bad", package.searchers[2], "mod_bad")
t("loadlib", package.loadlib) t("loadlib", package.loadlib, "x") print(select("#", package.loadlib("/nonexistent.so", "f")))
local s = package.searchers package.searchers = nil t("no searchers", require, "zz") package.searchers = {} t("no searchers", require, "zz") package.searchers = {function(n) return "\n\tmine " .. n end, function() return 5 end, function() end, function() return "plain" end} t("own", require, "zz") package.searchers = {function(n) return function(...) print("loader", ...) return "value" end, "extra" end} print(require "own.mod") package.searchers = {function() return print end} print(require "own.mod2") package.searchers = {function() return print, nil end} print(require "own.mod3") package.searchers = {5} t("not callable", require, "zz") package.searchers = {function() error "s" end} t("error in searcher", require, "zz2") package.searchers = s
package.path = nil t("path", require, "zz") package.path = 5 t("path", require, "zz") package.path = "?" package.cpath = nil t("cpath", require, "zz") package.cpath = {} t("cpath", require, "zz") package.cpath="" package.preload = nil t("preload", require, "zz") 
package.loaded.x1 = false package.preload = {} package.path = "" t("loaded false", require, "x1") package.loaded.x2 = true print(require "x2") local env = {} t("req", require, "string") print(require "string" == string)
os.remove "mod_ok.x" os.remove "mod_bad.x" os.remove "mod_err.x" os.remove "mod_nil.x"

-- which of several wrong arguments is told of
for _, arguments in ipairs {
  {}, { "x" }, { nil, "?" }, { {}, {}, {}, {} }, { {}, {}, {} }, { {}, {} }, { "x", "?", ".", {} },
} do
  print(select(2, pcall(package.searchpath, table.unpack(arguments, 1, 4))))
end
