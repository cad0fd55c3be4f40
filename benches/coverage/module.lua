-- The module that is changed while it runs; VERSION is replaced by 1 and 2.
local hits = 0
local M = {}

local function step()
  hits = hits + 1
  return VERSION, hits
end

function M.hit()
  hits = hits + 1
  return VERSION, hits
end

function M.read(self, key)
  hits = hits + 1
  return key == "version" and VERSION or hits
end

function M.make()
  local n = 0
  return function()
    n = n + 1
    return VERSION, n
  end
end

function M.serve()
  while true do coroutine.yield(step()) end
end

function M.watch()
  hits = hits + 1
  SEEN, COUNT = VERSION, hits
end

return M
