-- The os library: every conversion of os.date, os.time and its bounds, and os.exit with close.
local real_print = print
local function print(...)
  local r = table.pack(...)
  for i = 1, r.n do
    r[i] = tostring(r[i]):gsub("%a+: [xX%x]*%x%x%x%x%x%x+", "ADDRESS"):gsub("0x%x%x%x%x%x%x+", "ADDRESS")
  end
  real_print(table.concat(r, "\t"))
end
local function t(label, f, ...) print(label, pcall(f, ...)) end
for c in ("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%"):gmatch "." do print(c, os.date("!%" .. c, 0), os.date("!%" .. c, 86400 * 365 * 30 + 12345), os.date("!%" .. c, -1), os.date("%" .. c, 951782400)) end
for _, c in ipairs{"Ec","EC","Ex","EX","Ey","EY","Od","Oe","OH","OI","Om","OM","OS","Ou","OU","OV","Ow","OW","Oy"} do print(c, os.date("!%" .. c, 1e9 // 1 | 0)) end
for _, c in ipairs{"%","%E","%O","%Ed","%Oc","%q","%f","%i","%J","%k","%l","%N","%P","%s","%v","%Q","%1","%-d","%+","%L","%K","%E%","a%"} do t(c, os.date, c, 0) end
print(os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!%Y", 253402300799), os.date("!%Y", 253402300800), os.date("!", 0) == "", os.date("!text\0more %d", 0), #os.date("!\0%Y\0",0), os.date("!%c%c%c%c", 0))
for _, v in ipairs{0, -1, 1e9|0, 4102444799, -2208988800, -62135596800, -62167219200, -62167219201, 67768036191676800, -67768040609740800, -67768040609740801, 2^31|0, math.maxinteger, math.mininteger, 951827696} do t(v, os.date, "!%Y %j %U %W %V %G %g %u %w %C %y %F", v) local ok, d = pcall(os.date, "!*t", v) if ok then print(d.year,d.month,d.day,d.hour,d.min,d.sec,d.wday,d.yday,d.isdst) else print(d) end end
t("date", os.date, "%Y", "x") t("date", os.date, "%Y", 1.5) t("date", os.date, "%Y", 2.0) t("date", os.date, {}) t("date", os.date, "!%Y", "5") print(type(os.date()), #os.date() > 10) t("date", os.date, "%Y", {}) t("date", os.date, "*tx", 0) t("date", os.date, "!*txyz", 0 == 1)
local d = os.date("*t", 0) local ks = {} for k in pairs(d) do ks[#ks+1] = k end table.sort(ks) print(table.concat(ks, " "))
local function tm(x) local ok, r = pcall(os.time, x) print(ok, r) if ok then print(x.year, x.month, x.day, x.hour, x.min, x.sec, x.wday, x.yday, x.isdst) end end
tm{year=2000,month=1,day=1} tm{year=2000,month=1,day=1,hour=0} tm{year=2000,month=13,day=32,hour=25,min=61,sec=61} tm{year=2000,month=-5,day=-40,hour=-3,min=-100,sec=-1000} tm{year=2001,month=2,day=29} tm{year=1970,month=1,day=1,hour=0,min=0,sec=-1} tm{year=2000,month=1} tm{year=2000,day=1} tm{month=1,day=1} tm{year="2000",month="1",day="1"} tm{year=2000,month=1,day="x"} tm{year=2000,month=1.5,day=1} tm{year=2000,month=1,day={}} tm{year=2^31,month=1,day=1} tm{year=2147483647+1900,month=12,day=31} tm{year=2147483647+1901,month=1,day=1} tm{year=-2147483648+1900,month=1,day=1} tm{year=-2147483648+1899,month=1,day=1} tm{year=2000,month=2147483647,day=1} tm{year=2000,month=2147483648,day=1} tm{year=2000,month=2147483649,day=1} tm{year=2000,month=1,day=2147483647} tm{year=2000,month=1,day=2147483648} tm{year=2000,month=1,day=1,sec=2147483647} tm{year=2000,month=1,day=1,sec=-2147483648} tm{year=2000,month=1,day=1,sec=-2147483649} tm{year=math.maxinteger,month=1,day=1} tm{year=math.mininteger,month=1,day=1} tm{year=2000,month=7,day=1,isdst=true} tm{year=2000,month=7,day=1,isdst=false} tm{year=2000,month=7,day=1,isdst="x"} tm{year=2000.0,month="0x7",day=" 5 "} tm{year=0,month=1,day=1} tm{year=-1,month=1,day=1} tm{year=2000,month=1,day=1,hour=1.0,min="3"} tm{year=2000,month=1,day=1,hour=0/0} tm(setmetatable({}, {__index={year=1999,month=5,day=6}})) 
t("time", os.time, 5) t("time", os.time, "x") print(math.type(os.time()), math.type(os.time(nil)))
print(os.time{year=2020,month=10,day=25,hour=2,min=30}) print(os.difftime(5,3), os.difftime(5,3.0)) t("difftime", os.difftime) t("difftime", os.difftime, 1) t("difftime", os.difftime, 1, "x") t("difftime", os.difftime, 1.5, 1) print(os.difftime(math.maxinteger, math.mininteger))
t("getenv", os.getenv) t("getenv", os.getenv, "NO_SUCH_VARIABLE_X") t("getenv", os.getenv, "") t("getenv", os.getenv, "A=B") t("getenv", os.getenv, "A\0B") print(type(os.getenv "PATH")) t("setlocale", os.setlocale) t("setlocale", os.setlocale, nil) t("setlocale", os.setlocale, "C") t("setlocale", os.setlocale, "POSIX") t("setlocale", os.setlocale, "nope") for _, k in ipairs{"all","collate","ctype","monetary","numeric","time","x"} do t(k, os.setlocale, "C", k) t(k, os.setlocale, nil, k) end t("setlocale", os.setlocale, {}) print(math.type(os.clock())) print(type(os.tmpname()))
t("exit", os.exit, "x") t("exit", os.exit, {}) 
local x <close> = setmetatable({}, {__close=function() print "closed at exit" end}) 
do local y <close> = setmetatable({}, {__close=function() print "inner closed" end}) held = setmetatable({}, {__gc=function() print "gc at exit" end}) io.write("no newline at the end") os.exit(true, true) end
