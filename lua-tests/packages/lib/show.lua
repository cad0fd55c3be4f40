-- Prints values the same way whatever order `pairs` has: keys are sorted.
local show = {}

local function key_order(a, b)
  local ta, tb = math.type(a) or type(a), math.type(b) or type(b)
  if (ta == "integer" or ta == "float") and (tb == "integer" or tb == "float") then return a < b end
  if ta ~= tb then return ta < tb end
  if ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

function show.keys(t)
  local keys = {}
  for k in next, t do keys[#keys + 1] = k end
  table.sort(keys, key_order)
  return keys
end

function show.text(v, seen)
  if type(v) == "string" then return string.format("%q", v) end
  if type(v) ~= "table" then
    local kind = type(v)
    if kind == "function" or kind == "userdata" or kind == "thread" then return "<" .. kind .. ">" end
    return tostring(v)
  end
  seen = seen or {}
  if seen[v] then return "<again>" end
  seen[v] = true
  -- not `#`: with holes the border is free
  local out, n = {}, 0
  while rawget(v, n + 1) ~= nil do
    n = n + 1
    out[n] = show.text(rawget(v, n), seen)
  end
  for _, k in ipairs(show.keys(v)) do
    if not (math.type(k) == "integer" and k >= 1 and k <= n) then
      local name = type(k) == "string" and k:match("^[%a_][%w_]*$") or "[" .. show.text(k, seen) .. "]"
      out[#out + 1] = name .. "=" .. show.text(rawget(v, k), seen)
    end
  end
  seen[v] = nil
  return "{" .. table.concat(out, ", ") .. "}"
end

-- p("label", values...): one line
function show.p(label, ...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = show.text(parts[i]) end
  print(label, table.concat(parts, "  "))
end

-- Errors without the places in the packages' files, which may differ by release.
function show.try(label, f, ...)
  local results = table.pack(pcall(f, ...))
  for i = 1, results.n do
    local r = results[i]
    results[i] = type(r) == "string" and string.format("%q", (r:gsub("[^%s]*%.lua:%d+: ", "@: "):gsub("0x%x+", "ADDRESS"))) or show.text(r)
  end
  print(label, table.concat(results, "  "))
end

return show
