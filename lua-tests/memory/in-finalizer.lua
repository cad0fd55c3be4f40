-- a finalizer that never gives up
return function()
  local done
  setmetatable({}, { __gc = function()
    for i = 1, 4 do
      local ok, message = pcall(function()
        local t = {}
        while true do t[#t + 1] = {} end
      end)
      assert(not ok and message == "not enough memory", message)
    end
    done = true
  end })
  collectgarbage()
  assert(done)
  error("not enough memory", 0)
end
