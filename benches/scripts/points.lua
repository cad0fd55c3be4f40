-- Allocation of {x=, y=} objects, most of them dropped at once.
local n = tonumber(arg and arg[1]) or 5500000
local sx, sy = 0, 0
local keep = {}
for i = 1, n do
  local p = { x = i, y = -i }
  sx, sy = sx + p.x, sy + p.y
  if i % 64 == 0 then keep[i // 64] = p end
end
local kept = 0
for _, p in ipairs(keep) do kept = kept + p.x end
print(sx, sy, kept)
