-- The debug library: getinfo, locals, upvalues, tracebacks, metatables, hooks.
local real_print = print
local function print(...)
  local r = table.pack(...)
  for i = 1, r.n do
    r[i] = tostring(r[i]):gsub("%a+: [xX%x]*%x%x%x%x%x%x+", "ADDRESS"):gsub("0x%x%x%x%x%x%x+", "ADDRESS")
  end
  real_print(table.concat(r, "\t"))
end
local function t(label, f, ...) local r = table.pack(pcall(f, ...)) for i=1,r.n do if type(r[i]) ~= "string" and type(r[i])~="number" and type(r[i])~="boolean" and r[i]~=nil then r[i]=type(r[i]) end end print(label, table.unpack(r,1,r.n)) end
local ks={} for k in pairs(debug) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," "))
-- getinfo
local function info(i) if not i then return print(i) end local ks={} for k in pairs(i) do ks[#ks+1]=k end table.sort(ks) local o={} for _,k in ipairs(ks) do local v=i[k] if type(v)=="table" then local l={} for n in pairs(v) do l[#l+1]=n end table.sort(l) v="{"..table.concat(l,",").."}" elseif type(v)=="function" then v="function" end o[#o+1]=k.."="..tostring(v) end print(table.concat(o," ")) end
local function f(a,b,...)
  local c = a
  return c, ...
end
info(debug.getinfo(f)) info(debug.getinfo(real_print)) info(debug.getinfo(1)) info(debug.getinfo(f,"S")) info(debug.getinfo(f,"L")) info(debug.getinfo(real_print,"L")) info(debug.getinfo(f,"u")) info(debug.getinfo(f,"n")) info(debug.getinfo(f,"t")) info(debug.getinfo(f,"r")) info(debug.getinfo(f,"f")) info(debug.getinfo(f,"l")) info(debug.getinfo(1,"nSltufrL")) info(debug.getinfo(0,"nSltufr")) info(debug.getinfo(1000)) info(debug.getinfo(f,"")) info(debug.getinfo(load"return 1","SL")) info(debug.getinfo(load("\n\nlocal x\n\nreturn function() end","=name"),"SL"))
info(debug.getinfo(load("return ...", "@file.lua"))) info(debug.getinfo(load("return ...", ("x"):rep(100)), "S")) info(debug.getinfo(load("return\n...", "return\n..."), "S"))
t("gi",debug.getinfo) t("gi",debug.getinfo,f,"X") t("gi",debug.getinfo,f,">") t("gi",debug.getinfo,1,">S") t("gi",debug.getinfo,f,{}) t("gi",debug.getinfo,"x") t("gi",debug.getinfo,{}) t("gi",debug.getinfo,nil) t("gi",debug.getinfo,-1) t("gi",debug.getinfo,1.5) t("gi",debug.getinfo,"1") t("gi",debug.getinfo,real_print,"SX") t("gi", debug.getinfo, coroutine.create(f), 0) t("gi", debug.getinfo, coroutine.create(f)) t("gi", debug.getinfo, coroutine.create(f), f, "q") t("gi",debug.getinfo,2^31) t("gi",debug.getinfo,math.maxinteger)
local function tail() return debug.getinfo(1,"t").istailcall, debug.getinfo(1,"n").name end local function calls() return tail() end print(calls()) print((tail()))
local mt = setmetatable({}, {__index=function(t,k) return debug.getinfo(1,"n").name .. "/" .. debug.getinfo(1,"n").namewhat end, __add=function() return debug.getinfo(1,"n").name .. "/" .. debug.getinfo(1,"n").namewhat end, __close=function() print(debug.getinfo(1,"n").name, debug.getinfo(1,"n").namewhat) end, __concat=function() local i=debug.getinfo(1,"n") return tostring(i.name)..i.namewhat end, __len=function() local i=debug.getinfo(1,"n") return tostring(i.name)..i.namewhat end, __unm=function() local i=debug.getinfo(1,"n") return tostring(i.name)..i.namewhat end, __eq=function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) return true end,__lt=function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) return true end,__le=function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) return true end,__call=function() local i=debug.getinfo(1,"n") return tostring(i.name)..i.namewhat end,__newindex=function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) end})
print(mt.x, mt+1, mt..1, #mt, -mt, mt==setmetatable({},getmetatable(mt)), mt<mt, mt<=mt, mt()) mt.y=1 do local x <close> = mt end
for n in (function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) end) do end
local o={m=function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) end} o.m() o:m() o["m"]() local up=o.m; (function() up() end)() glob=o.m; glob() _G.glob() table.sort({1,2},function() local i=debug.getinfo(1,"n") print(i.name,i.namewhat) end) pcall(o.m) string.gsub("a","a",o.m) coroutine.wrap(o.m)() o[1]=o.m o[1]() local k="m" o[k]()
-- locals
local function loc(a,b,...) local c <const> = 5 local d=a do local e=1 end local i=1 while true do local n,v=debug.getlocal(1,i) if not n then break end io.write(n,"=",tostring(v)," ") i=i+1 end print() for j=-1,-5,-1 do local n,v=debug.getlocal(1,j) io.write(tostring(n),"=",tostring(v)," ") end print() print(debug.setlocal(1,1,"new"),a,debug.setlocal(1,-1,"va"),(...),debug.setlocal(1,-9,0),debug.setlocal(1,99,0)) end loc(1,2,3,4,5)
print(debug.getlocal(loc,1),debug.getlocal(loc,2),debug.getlocal(loc,3),debug.getlocal(loc,-1),debug.getlocal(loc,0)) t("gl",debug.getlocal,real_print,1) t("gl",debug.getlocal,100,1) t("gl",debug.getlocal,-1,1) t("gl",debug.getlocal) t("gl",debug.getlocal,1) t("gl",debug.getlocal,"x",1) t("gl", debug.getlocal, nil, 1) t("sl",debug.setlocal,100,1,1) t("sl",debug.setlocal,1,1) t("sl",debug.setlocal,real_print,1,1) t("sl",debug.setlocal) t("gl0", debug.getlocal, 0, 1) t("gl0", debug.getlocal, 0, 2) t("gl0", debug.getlocal, 0, 3)
do local a, b = 1, 2; local x = (function() return debug.getlocal(2, 99) end)() print(x) for i, v in ipairs{7} do local n = {} for j = 1, 40 do local nm = debug.getlocal(1, j) if not nm then break end n[#n+1] = nm end print(#n > 3, n[#n], n[#n-1], n[#n-2], n[#n-3], n[#n-4], n[#n-5]) end end
local co=coroutine.create(function(x,...) local y=x*2 coroutine.yield(y) error("boom") end) coroutine.resume(co,21,"v") print(debug.getlocal(co,1,1)) print(debug.getlocal(co,1,2)) print(debug.getlocal(co,1,-1)) print(debug.setlocal(co,1,2,"changed"),debug.getlocal(co,1,2)) print(debug.traceback(co)) print(debug.traceback(co,"msg")) print(debug.traceback(co,"msg",1)) print(debug.traceback(co,nil,0)) print(debug.traceback(co,{})~=nil) info(debug.getinfo(co,0)) info(debug.getinfo(co,1,"nlSt")) info(debug.getinfo(co,2)) print(coroutine.resume(co)) print(debug.traceback(co)) info(debug.getinfo(co,1,"l")) print(debug.getlocal(co,1,1)) t("dead gl", debug.getlocal, co, 9, 1)
-- traceback
print(debug.traceback("m",0)) print(debug.traceback("m",1)) print(debug.traceback("m",2)) print(debug.traceback("m",100)) print(debug.traceback(5)) print(debug.traceback(nil)) print(debug.traceback(true)) t("tb",debug.traceback,"m","x") t("tb",debug.traceback,co,"m","x") t("tb", debug.traceback, 1.5, 1)
local function deep(n) if n==0 then return debug.traceback("deep") end return (deep(n-1)) end print((deep(30))) print((deep(10)))
-- upvalues
local u1,u2=1,2 local function uf() return u1,u2 end local function ug() return u2 end print(debug.getupvalue(uf,1)) print(debug.getupvalue(uf,2)) print(debug.getupvalue(uf,3)) print(debug.setupvalue(uf,1,"x"),u1,debug.setupvalue(uf,3,1)) print(debug.getupvalue(string.gmatch("a","b"),1)) print(debug.getupvalue(real_print,1)) print(debug.setupvalue(real_print,1,1)) print(debug.upvalueid(uf,2)==debug.upvalueid(ug,1),debug.upvalueid(uf,1)==debug.upvalueid(uf,2)) t("uid",debug.upvalueid,uf,3) t("uid",debug.upvalueid,uf,0) t("uid",debug.upvalueid,real_print,1) t("uid",debug.upvalueid,5,1) t("uid",debug.upvalueid,uf) debug.upvaluejoin(uf,1,ug,1) print(uf()) t("join",debug.upvaluejoin,uf,9,ug,1) t("join",debug.upvaluejoin,uf,1,ug,9) t("join",debug.upvaluejoin,real_print,1,ug,1) t("join",debug.upvaluejoin,uf,1,real_print,1) t("join", debug.upvaluejoin, uf, 1, string.gmatch("a","b"), 1) t("gu",debug.getupvalue,5,1) t("gu",debug.getupvalue,uf) t("gu",debug.getupvalue,uf,"x") t("su",debug.setupvalue,uf,1) print(debug.getupvalue(load("return x"),1)) print(debug.getupvalue(load(string.dump(uf,true)),1)) print(debug.getupvalue(string.gmatch("a","b"),4)) t("gm uid", function() return type(debug.upvalueid(string.gmatch("a","b"),1)) end)
-- metatables and user values
t("gm",debug.getmetatable) t("sm",debug.setmetatable) t("sm",debug.setmetatable,1) t("sm",debug.setmetatable,1,5) print(debug.setmetatable(5,{__index=function(n,k) return n..k end})) print((5).x) debug.setmetatable(5,nil) print(debug.setmetatable(nil,{__call=function() return "called nil" end})) print((nil)()) debug.setmetatable(nil,nil) debug.setmetatable(real_print,{__index={n="fn"}}) print(real_print.n) debug.setmetatable(real_print,nil) debug.setmetatable(true,{__len=function() return 9 end}) print(#true) debug.setmetatable(true,nil) debug.setmetatable(co,{__name="CO"}) print((tostring(co):gsub("0x%x+","A"))) debug.setmetatable(co,nil) print(debug.getmetatable("").__index==string, debug.getmetatable(5))
print(debug.getuservalue(io.stdout)) print(debug.getuservalue(io.stdout,1)) print(debug.getuservalue(io.stdout,2)) print(debug.getuservalue(5)) print(debug.getuservalue({})) print(debug.getuservalue("x",0)) t("su",debug.setuservalue,5,1) t("su",debug.setuservalue) t("su",debug.setuservalue,io.stdout) print(debug.setuservalue(io.stdout,1)) print(debug.setuservalue(io.stdout,1,2)) t("gu",debug.getuservalue) t("gu",debug.getuservalue,io.stdout,"x") t("su", debug.setuservalue, {}, 1) print(select("#", debug.getuservalue(io.stdout)), select("#", debug.getuservalue(5)), select("#", debug.getuservalue(io.stdout, 0)))
print(type(debug.getregistry()), debug.getregistry()[2]==_G, type(debug.getregistry()[1]), debug.getregistry()._LOADED==package.loaded, type(debug.getregistry()["FILE*"])) t("csl",debug.setcstacklimit,100) t("csl",debug.setcstacklimit) t("csl", debug.setcstacklimit, "x")
-- hooks
t("hook",debug.sethook,5) t("hook",debug.sethook,real_print) t("hook",debug.sethook,real_print,5) t("hook", debug.sethook, co, print) print(debug.gethook()) debug.sethook(real_print,"crl",0) debug.sethook() local events={} local function hook(e,l) local i=debug.getinfo(2,"nSl") events[#events+1]=e..":"..tostring(l)..":"..tostring(i.name)..":"..i.what end
local function run(mask,count,fn) events={} debug.sethook(hook,mask,count) fn() debug.sethook() print(mask,count,#events) for i=1,math.min(#events,30) do print("  "..events[i]) end end
local function body() local x=1
  x=x+1
  for i=1,2 do
    x=x+i end
  return x
end
run("l",0,body) run("c",0,body) run("r",0,body) run("crl",0,function() math.abs(1) end) local function tl() return body() end run("cr",0,tl) run("c",0,function() local s=setmetatable({},{__index=body}) return s.x end) run("l",0,function() goto a ::a:: if true then end end) run("l", 0, function() local x = 1; while x < 3 do x = x + 1 end end) run("l",0,load("local a\n\n\nlocal b = 1\nreturn a\n")) run("", 0, body)
local cnt=0 debug.sethook(function(e) cnt=cnt+1 assert(e=="count") end,"",100) for i=1,10000 do end debug.sethook() print(cnt>=90 and cnt<=400)
debug.sethook(hook,"cr",7) local h,m,c=debug.gethook() print(h==hook,m,c) debug.sethook(nil) print(debug.gethook()) debug.sethook(hook,"") print(debug.gethook()) debug.sethook(hook,"xyz") print(debug.gethook()) debug.sethook(hook,"lrc") print(select(2,debug.gethook())) debug.sethook(hook, "", -5) print(debug.gethook()) debug.sethook()
local co2=coroutine.create(function() body() coroutine.yield() body() end) events={} debug.sethook(co2,hook,"l") print(debug.gethook(co2)==hook,debug.gethook()) coroutine.resume(co2) print(#events) body() print(#events) debug.sethook(co2) coroutine.resume(co2) print(#events)
t("hook error", function()
  debug.sethook(function() debug.sethook() error("from hook") end, "l")
  local x = 1
end)
debug.sethook()
events={} local tr={} debug.sethook(function(e) local i=debug.getinfo(2,"rn") tr[#tr+1]=e.." "..tostring(i.name).." "..(i.ntransfer > 0 and i.ftransfer or "-").." "..i.ntransfer end,"cr"); (function(a,b) return a,b,3 end)(1,2) math.max(1,2,3) debug.sethook() for _,x in ipairs(tr) do print(x) end
debug.sethook(function(e,l) local n,v=debug.getlocal(2,1) if n=="watch" and v==3 then debug.setlocal(2,1,100) end end,"l") do (function(watch)
  watch = watch + 1
  watch = watch + 1
  print(watch) end)(1) end debug.sethook()
