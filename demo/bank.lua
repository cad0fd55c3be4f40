-- Gold moves between accounts and is never made or lost.

local M = {}

local accounts = {}
local broken = false

function M.open(name, amount)
  accounts[name] = amount
end

function M.balance(name)
  return accounts[name]
end

-- Moves gold; false, and nothing happens, when there is not enough.
function M.transfer(from, to, amount)
  if accounts[from] < amount then
    return false
  end
  accounts[from] = accounts[from] - amount
  accounts[to] = accounts[to] + amount
  return true
end

function M.total()
  local sum = 0
  for _, amount in pairs(accounts) do
    sum = sum + amount
  end
  return sum
end

-- Once broken, always broken: the status line keeps saying so.
function M.check(expected)
  if M.total() ~= expected then
    broken = true
  end
end

function M.state()
  return M.total() .. (broken and "(BROKEN)" or "(ok)")
end

return M
