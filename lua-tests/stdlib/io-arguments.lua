-- The io library: modes, formats, numerals, lines, default files, methods, pipes.
local real_print = print
local function print(...)
  local r = table.pack(...)
  for i = 1, r.n do
    r[i] = tostring(r[i]):gsub("%a+: [xX%x]*%x%x%x%x%x%x+", "ADDRESS"):gsub("0x%x%x%x%x%x%x+", "ADDRESS")
  end
  real_print(table.concat(r, "\t"))
end
local function t(label, f, ...) print(label, pcall(f, ...)) end
local name = os.tmpname()
local function put(s) local f = assert(io.open(name, "wb")) f:write(s) f:close() end
local function clean(s) return (tostring(s):gsub(name:gsub("%p","%%%0"), "NAME")) end
local function c(...) local r = table.pack(...) for i=1,r.n do if type(r[i])=="string" then r[i]=clean(r[i]) end end print(table.unpack(r,1,r.n)) end
-- open
for _, m in ipairs{"r","w","a","r+","w+","a+","rb","wb","ab","r+b","w+b","a+b","rb+","","x","rw","r++","b","rt","+r"} do local ok, f, e, n = pcall(io.open, name, m) if ok and io.type(f) then print(m, io.type(f)) f:close() else print(m, ok, clean(f), e, n) end end
c(pcall(io.open)) c(pcall(io.open, {})) c(io.open("/nonexistent/x")) c(io.open("/nonexistent/x","w")) c(io.open("/", "w")) c(io.open(""))
put "line1\nline2\r\n\n 42 0x1F -3.5e2 nan .5 5. 1e 0xg abc\nlast"
local f = io.open(name)
c(f:read()) c(f:read("L")) c(f:read("l")) c(f:read("n","n","n")) c(f:read("n")) c(f:read(3)) c(f:read("a")) c(f:read("a")) c(f:read("l")) c(f:read("n")) c(f:read(0)) c(f:read("L")) c(f:read(5))
f:seek("set") c(f:read("l","L",0,"n",1)) f:seek("set") c(f:read("*l","*L","*a")) f:seek("set") c(f:read("*number")) f:seek("set") c(f:read("all")) t("fmt",f.read,f,"x") t("fmt",f.read,f,"*x") t("fmt",f.read,f,"") t("fmt",f.read,f,{}) t("fmt",f.read,f,1.5) t("fmt",f.read,f,nil) t("fmt", f.read, f, true) t("fmt", f.read, f, "l", "x")
c(f:seek("set",3)) c(f:seek()) c(f:seek("cur",-1)) c(f:seek("end")) c(f:seek("end",-4)) c(f:read("a")) c(f:seek("set",-1)) t("seek",f.seek,f,"bad") t("seek",f.seek,f,5) t("seek",f.seek,f,"set","x") t("seek",f.seek,f,"set",1.5) c(f:seek("set", 1000)) c(f:read(1)) c(f:read("a"))
c(f:write("x")) c(pcall(f.write)) c(f:close()) t("closed",f.read,f) t("closed",f.write,f,"x") t("closed",f.close,f) t("closed",f.lines,f) t("closed",f.seek,f) t("closed",f.flush,f) t("closed",f.setvbuf,f,"no") print(tostring(f), io.type(f), io.type(5), io.type(io.stdout)) t("type", io.type) t("type", io.type, nil)
-- numbers
for _, s in ipairs{"1","-1","+1","0x10","-0x1p4","1e5","1e","1e+","1.5.5","0x","0x.","..","-","- 1","  7","\n\t8","1,2","0x1p-2x","1E+2","nan","inf","12345678901234567890","0xffffffffffffffffff","1"..("0"):rep(250),"0x"..("1"):rep(198),"0x"..("1"):rep(199),"00001","1e1e1","--1","1-","abc","",".e1","1.e1",".1e1","0x.1p1","0X1P+1 ","1f","0xAp","9223372036854775807","9223372036854775808", "1\0"} do put(s) local f=io.open(name) local v=f:read("n") print(#s<40 and string.format("%q",s) or #s,v,math.type(v),f:read("a")) f:close() end
-- lines
put "a\nb\n\nc" for l in io.lines(name) do io.write("[",l,"]") end print() for l in io.lines(name,"L") do io.write("[",l,"]") end print() for a,b in io.lines(name,1,"l") do print(a,b) end for a,b in io.lines(name,"n") do print(a,b) end
c(pcall(io.lines,"/nonexistent")) t("lines",io.lines,name,"x") t("lines", io.lines, {}) print(select("#", io.lines(name))) print(select("#", io.lines()), select("#",io.stdout:lines()))
do local it,s,ctl,f=io.lines(name) print(s,ctl,io.type(f)) it() it() it() it() print(it()) t("after",it) print(io.type(f)) end
do local f=io.open(name) local it=f:lines() it() f:close() t("closed it",it) end
do local f=io.open(name) for l in f:lines("a") do c(l) break end print(io.type(f)) f:close() end
t("many", function() return io.lines(name, table.unpack({}, 1, 250)) end) t("many", function() return io.lines(name, table.unpack({}, 1, 251)) end)
do local it = io.lines(name, 0) print(it(), it()) end
t("lines bad", function() for l in io.lines(name, "n", "z") do end end)
-- for loop closes
do local h for l in io.lines(name) do break end end
-- write
f=io.open(name,"w") print(f:write("a",1,2.5,-0.0,1e100,math.mininteger)==f) t("write",f.write,f,{}) t("write",f.write,f,nil) t("write",f.write,f,true) t("write", f.write, f, "ok", {}) print(f:setvbuf("no"),f:setvbuf("full",1024),f:setvbuf("line")) t("setvbuf",f.setvbuf,f,"bad") t("setvbuf",f.setvbuf,f) t("setvbuf",f.setvbuf,f,"full","x") print(f:flush()==f, f:seek("cur")) c(f:read()) c(f:read(0)) c(f:read("a")) f:close() f=io.open(name) c(f:read("a")) f:close()
f=io.open(name,"r+") f:write("XY") f:seek("set",0) c(f:read(3)) f:seek("cur",0) f:write("Z") f:seek("set") c(f:read("a")) f:close()
f=io.open(name,"a+") f:write("end") f:seek("set") c(f:read(2)) f:write("more") f:seek("set") c(f:read("a")) c(f:seek("set",0)) f:close()
f=io.open(name,"w+") f:write("hello") f:seek("set",1) f:write("E") f:seek("end") f:write("!") f:seek("set") c(f:read("a")) f:close()
-- default files
t("input",io.input,"/nonexistent") t("input",io.input,{}) t("input", io.input, 5 == 5 and {}) print(io.input()==io.stdin,io.output()==io.stdout) io.input(name) c(io.read("a")) c(io.read("a")) c(io.read("l")) io.close(io.input()) t("read closed",io.read) t("lines closed",io.lines) t("close default in", function() return io.input() end == nil) io.input(io.stdin) print(io.read(), io.read("a"), io.read(0))
do local o=io.output() local g=io.open(name,"w") print(io.output(g)==g) io.write("to file",1) io.close() t("write closed",io.write,"x") t("close closed", io.close) io.output(o) c(io.open(name):read("a")) end
c(pcall(io.output, "/nonexistent/x"))
t("close", io.close, 5) t("close", io.close, {}) 
-- metatable
local mt=getmetatable(io.stdout) print(mt.__name,type(mt.__index),mt.__index~=mt,type(mt.__gc),type(mt.__close),type(mt.__tostring), mt.__metatable) local ks={} for k in pairs(mt) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," ")) ks={} for k in pairs(mt.__index) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," ")) ks={} for k in pairs(io) do ks[#ks+1]=k end table.sort(ks) print(table.concat(ks," "))
t("tostring",mt.__tostring,5) t("gc",mt.__gc,5) t("method",io.stdout.write) t("method",io.stdout.write,5) t("method", function() return io.stdout:nothing() end) t("index", function() return io.stdout.x end) t("index", function() io.stdout.x = 1 end) print((tostring(io.stdout):gsub("0x%x+","A")))
do local g do local h <close> = io.open(name) g=h print(io.type(h)) end print(io.type(g), tostring(g)) end
t("tmp", function() local f=io.tmpfile() f:write("abc") f:seek("set") local r = f:read("a") f:close() return r end) 
-- popen
c(pcall(io.popen)) c(pcall(io.popen,"true","x")) c(pcall(io.popen,"true","rw")) c(pcall(io.popen,"true","r+")) c(pcall(io.popen,"true","")) c(pcall(io.popen, {})) 
local p=io.popen("echo hi; echo there") c(p:read("l")) c(p:read("a")) c(p:close()) c(io.popen("exit 3"):close()) c(io.popen("kill -9 $$"):close()) c(io.popen("exit 0","w"):close()) p=io.popen("cat >/dev/null","w") c(p:write("through cat\n")==p) p:flush() c(p:close()) p=io.popen("cat >/dev/null; exit 7","w") p:write("x") c(p:close()) c(pcall(p.close,p)) p=io.popen("echo x") c((p:write("y"))) print(io.type(p)) c(p:read("a")) c(p:close()) for l in io.popen("printf 'a\\nb'"):lines() do c(l) end c(io.popen("nonexistent_cmd_x 2>/dev/null"):close()) p = io.popen("echo 1 2 3") c(p:read("n","n","n","n")) p:close()
do local p <close> = io.popen("exit 5") end
c(os.execute()) c(os.execute("exit 4")) c(os.execute("true")) c(os.execute("kill -15 $$")) c(pcall(os.execute,{})) c(os.remove("/nonexistent/x")) c(os.remove(name)) c(os.remove(name)) c(os.rename(name,name.."x")) c(pcall(os.rename,name)) c(pcall(os.remove)) c(pcall(os.remove, {})) 
c(pcall(io.lines, "/")) c(io.open("/"):read("a")) c(io.open("/"):read(1)) c(io.open("/"):read("l")) c(io.open("/"):read("n")) c(pcall(function() for l in io.open("/"):lines() do end end)) c(pcall(function() for l in io.lines("/") do end end))
print(io.stderr:write("")==io.stderr) print(io.stdout:seek("cur") ~= 0) print(io.write("")==io.stdout) print(pcall(io.write, {})) print(pcall(io.read, "x")) print(pcall(io.read, "n", {}))
