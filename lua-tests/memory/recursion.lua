local function f(...) return 1 + f(1, 2, 3, ...) end
return function() f() end, "stack overflow"
