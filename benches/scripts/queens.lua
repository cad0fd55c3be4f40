-- All solutions of the n queens problem by backtracking recursion.
local n = tonumber(arg and arg[1]) or 12
local column, diagonal, antidiagonal = {}, {}, {}
local solutions, visits = 0, 0
local function place(row)
  visits = visits + 1
  if row > n then
    solutions = solutions + 1
    return
  end
  for c = 1, n do
    local d, a = row + c, row - c + n
    if not column[c] and not diagonal[d] and not antidiagonal[a] then
      column[c], diagonal[d], antidiagonal[a] = true, true, true
      place(row + 1)
      column[c], diagonal[d], antidiagonal[a] = false, false, false
    end
  end
end
for _ = 1, 2 do place(1) end
print(n, solutions, visits)
