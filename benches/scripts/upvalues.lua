-- A little stack machine whose state lives in captured variables only.
local n = tonumber(arg and arg[1]) or 6500000
local machine
do
  local a, b, c, steps = 1, 1, 0, 0
  local function add() c = (a + b) % 1000007 end
  local function shift()
    a = b
    b = c
  end
  function machine(count)
    for _ = 1, count do
      add()
      shift()
      steps = steps + 1
    end
    return a, b, steps
  end
end
print(machine(n))
print(machine(n))
