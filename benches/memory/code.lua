-- Much code: 20,000 functions of one chunk.
local all = {}
for i = 1, 20000 do
  all[i] = ("M.f%d = function(a, b, c) local t = { a, b, x = c } for k, v in pairs(t) do if v ~= k then t[k] = v + %d end end return t end"):format(i, i)
end
local text = "local M = {} " .. table.concat(all, "\n") .. " return M"
all = nil
local M = assert(load(text, "=code"))()
text = nil
collectgarbage()
assert(#M.f7(1, 2, 3) == 2)
