-- at most 40 MiB; the reference takes 5
local t = {}
for i = 1, 5000 do t[i] = "s=s..'" .. ("y"):rep(40) .. "'" end
assert(load("local s='' " .. table.concat(t, " ") .. " return #s", "=straight")() == 200000)
