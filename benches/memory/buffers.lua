-- Results joined from parts: table.concat, string.format, gsub.
for i = 1, 3000 do
  local parts = {}
  for k = 1, 200 do parts[k] = ("part %d of %d"):format(k, i) end
  local text = table.concat(parts, ", ")
  local upper = text:gsub("part", "PART")
  assert(#upper == #text)
end
