-- Yields in every place, coroutines closed and resumed in every state, variables that outlive them.
local function T(name, f, ...) local r = table.pack(pcall(f, ...)); local s={} for i=1,math.min(r.n,5) do local v=tostring(r[i]) if type(r[i])=="table" or type(r[i])=="thread" or type(r[i])=="function" then v=type(r[i]) end s[#s+1]=v:sub(1,150) end print(name, table.concat(s," ")) end
-- yields everywhere
local Y=coroutine.yield
local mt={__index=function(t,k) return Y(k) end,__newindex=function(t,k,v) Y(v) end,__add=function(a,b) return Y"add" end,__concat=function() return Y"cc" end,__eq=function() return Y"eq" end,__lt=function() return Y"lt" end,__le=function() return Y"le" end,__len=function() return Y"len" end,__unm=function() return Y"unm" end,__call=function(self,...) return Y(...) end,__close=function() Y"close" end}
local function N() return setmetatable({},mt) end
local function drive(f) local co=coroutine.create(f) local log={} local r=table.pack(coroutine.resume(co)) local n=0 while coroutine.status(co)~="dead" and n<100 do n=n+1 log[#log+1]=tostring(r[2]) r=table.pack(coroutine.resume(co,n)) end log[#log+1]=tostring(r[1])..":"..tostring(r[2]) return table.concat(log,",") end
T("idx",drive,function() local a=N() return a.x+a.y+a[1] end)
T("arith",drive,function() local a=N() local b=a+1 local c=1+a local d=-a local e=#a return b+c+d+e end)
T("cmp",drive,function() local a,b=N(),N() local r={} if a<b then r[1]=1 end if a<=b then r[2]=1 end if a==b then r[3]=1 end if a>1 then r[4]=1 end if not(a<b) then r[5]=1 end return #r end)
T("cat",drive,function() local a=N() return "a".."b"..a.."c"..a.."d" end)
T("call",drive,function() local a=N() return (a(1,2,3)),a(4) end)
T("close",drive,function() do local x<close> =N() end local y<close> =N() return 1,2,3 end)
T("closeerr",drive,function() local y<close> =N() local z<close> =N() error"e" end)
T("closepc",drive,function() return pcall(function() local y<close> =N() local z<close> =N() error"e" end) end)
T("closebrk",drive,function() for i=1,3 do local y<close> =N() if i==2 then break end end return "ok" end)
T("forin",drive,function() local s=0 for a,b in function(_,c) local v=Y(c) if v<5 then return v end end do s=s+a end return s end)
T("forclose",drive,function() for a in function(_,c) return 1 end,nil,nil,N() do return Y("in") end end)
T("pcallY",drive,function() return select('#',pcall(Y,1)),pcall(pcall,Y,2) end)
T("xpcallY",drive,function() return xpcall(function() Y(1) error"x" end,function(m) return "H"..m end) end)
T("dofY",drive,function() return require and 1 end)
-- states
T("dead",function() local co=coroutine.create(function() end) coroutine.resume(co) return coroutine.resume(co) end)
T("self",function() local co co=coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co) end)
T("normal",function() local co co=coroutine.create(function() return coroutine.wrap(function() return coroutine.resume(co) end)() end) return coroutine.resume(co) end)
T("closeself",function() local co co=coroutine.create(function() return coroutine.close(co) end) return coroutine.resume(co) end)
T("closenormal",function() local co co=coroutine.create(function() return coroutine.wrap(function() return coroutine.close(co) end)() end) return coroutine.resume(co) end)
T("closemain",function() return coroutine.close(coroutine.running()) end)
T("resmain",function() return coroutine.resume(coroutine.running()) end)
T("wrapdead",function() local w=coroutine.wrap(function() end) w() return w() end)
T("wraperr",function() local w=coroutine.wrap(function() error({}) end) return w() end)
T("wraperr2",function() local w=coroutine.wrap(function() error("x") end) return w() end)
T("wraperr3",function() local w=coroutine.wrap(function() local z<close> =setmetatable({},{__close=function(_,e) error("second "..e,0) end}) error("x",0) end) local a= w() return a end)
T("closein",function() local co co=coroutine.create(function() local z<close> =setmetatable({},{__close=function() print(coroutine.status(co),pcall(coroutine.close,co)) print(coroutine.resume(co)) end}) Y() end) coroutine.resume(co) return coroutine.close(co) end)
local function chain(n) local co=coroutine.create(function() local z<close> =setmetatable({},{__close=function() if n>0 then assert(coroutine.close(chain(n-1))) end end}) Y() end) coroutine.resume(co) return co end
T("closechain",function() return coroutine.close(chain(50)) end)
-- upvalues of dying coroutines
do local fs={} for i=1,200 do local co=coroutine.create(function() local a,b=i,{i} fs[i]=function() a=a+1 return a+b[1] end Y() end) coroutine.resume(co) end collectgarbage() collectgarbage() local s=0 for i=1,200 do s=s+fs[i]() collectgarbage("step") s=s+fs[i]() end print("upv",s) end
-- gc
do local res={} local n=0 for i=1,100 do setmetatable({},{__gc=function(o) res[#res+1]=o n=n+1 setmetatable(o,{__gc=function() n=n+1 end}) local t={} for j=1,100 do t[j]={} end end}) end collectgarbage() print("gc",n,#res) res=nil collectgarbage() print(n) end
do setmetatable({},{__gc=function() error("gcerr") end}) collectgarbage() print("after") end
do setmetatable({},{__gc=function() Y() end}) collectgarbage() print("after2") end
do setmetatable({},{__gc=function() collectgarbage() coroutine.wrap(function() Y(1) end)() pcall(error) end}) collectgarbage() print("after3") end
do local w=setmetatable({},{__mode="k"}) for i=1,100 do w[{}]=i w[i]={} end collectgarbage() local c=0 for _ in pairs(w) do c=c+1 end print("weak",c) local e=setmetatable({},{__mode="k"}) local k={} for i=1,50 do local n={} e[k]=n k=n end k=nil collectgarbage() print(next(e)) local v=setmetatable({},{__mode="v"}) for i=1,10 do v[i]={} v["s"..i]="str"..i end collectgarbage() c=0 for _ in pairs(v) do c=c+1 end print(c) end
-- next
T("next",function() local t={} for i=1,100 do t[i]=i t["k"..i]=i end for k in pairs(t) do t[k]=nil collectgarbage("step") end return next(t) end)
T("setmt",function() local a={} setmetatable(a,a) a.__index=a return a.x end)
T("setmt2",function() local a={} a.__metatable=1 setmetatable(a,a) return getmetatable(a),pcall(setmetatable,a,nil) end)
-- load readers
T("tbc",function() local x<close> =42 end) T("tbc",function() local x<close> =nil local y<close> =false return 1 end)
T("tbcmt",function() local m={__close=function() end} local x<close> =setmetatable({},m) m.__close=nil end)
T("manyvar",function() local function f(...) return select('#',...) end return f(table.unpack({},1,2e5)) end)
T("err",error) T("err",error,nil) T("err",error,setmetatable({},{__tostring=function() return "TS" end})) T("err",error,"x",math.maxinteger) T("err",error,"x",math.mininteger)
T("strmt",function() local m=getmetatable("") local o=m.__index m.__index=function(s,k) return k end local r=("x").foo m.__index=o return r end)
