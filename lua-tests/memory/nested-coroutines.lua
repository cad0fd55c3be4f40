return function()
  local function f()
    local t = {}
    for i = 1, 1e5 do t[i] = i end
    local co = coroutine.create(f)
    local ok, e = coroutine.resume(co)
    error(e, 0)
  end
  f()
end, "C stack overflow"
