-- endless recursion in each of many coroutines
return function()
  local t = {}
  while true do
    local co = coroutine.create(function()
      local function f() return 1 + f() end
      f()
    end)
    local ok, message = coroutine.resume(co)
    assert(not ok)
    if message == "not enough memory" then error("not enough memory", 0) end
    assert(tostring(message):find("stack overflow"), message)
    t[#t + 1] = co
  end
end
