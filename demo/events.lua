-- An event bus: handlers by name, called in the order they came.

local M = {}

local handlers = {}

function M.on(name, handler)
  local list = handlers[name]
  if not list then
    list = {}
    handlers[name] = list
  end
  list[#list + 1] = handler
end

function M.emit(name, ...)
  for _, handler in ipairs(handlers[name] or {}) do
    handler(...)
  end
end

return M
