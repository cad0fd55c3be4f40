-- Plain objects: fields read and written by methods and by functions.
local n = tonumber(arg and arg[1]) or 5000000
local Account = {}
Account.__index = Account
local function new(id) return setmetatable({ id = id, balance = 1000, log = 0 }, Account) end
function Account:deposit(v)
  self.balance = self.balance + v
  self.log = self.log + 1
end
function Account:withdraw(v)
  if v > self.balance then return false end
  self.balance = self.balance - v
  self.log = self.log + 1
  return true
end
local function transfer(from, to, v)
  if from:withdraw(v) then
    to:deposit(v)
    return 1
  end
  return 0
end
local accounts = {}
for i = 1, 64 do accounts[i] = new(i) end
local x, ok = 7, 0
for _ = 1, n do
  x = (x * 75 + 74) % 65537
  ok = ok + transfer(accounts[x % 64 + 1], accounts[x // 64 % 64 + 1], x % 300)
end
local sum, log = 0, 0
for _, a in ipairs(accounts) do sum, log = sum + a.balance, log + a.log end
print(ok, sum, log)
