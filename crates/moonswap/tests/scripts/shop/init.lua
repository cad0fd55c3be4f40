local M = {}
function M.price(x) return x * 2 end
return M
