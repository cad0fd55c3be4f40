-- A dictionary with string keys: the oldest goes, a new one comes.
local live = {}
for i = 1, 200000 do live["session " .. i] = { id = i } end
for i = 200001, 2000000 do
  live["session " .. i - 200000] = nil
  live["session " .. i] = { id = i }
end
