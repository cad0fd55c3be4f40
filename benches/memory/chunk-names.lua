-- Chunks with names of their own, none of which is kept.
for i = 1, 200000 do assert(load("return " .. i, "@request " .. i .. ".lua"))() end
