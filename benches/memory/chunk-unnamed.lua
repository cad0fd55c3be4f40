-- One large text without a name, loaded again and again.
local all = {}
for i = 1, 2000 do all[i] = ("function M.f%d(a, b) local x = a + %d if x > b then return x * 2 end end"):format(i, i) end
local text = "local M = {}\n" .. table.concat(all, "\n") .. "\nreturn M"
for _ = 1, 20 do assert(load(text))() end
