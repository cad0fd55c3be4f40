-- needs: binaryheap
-- Plain and unique heaps against a sorted list, with pseudo-random operations.
local heap = require "binaryheap"
local show = require "show"
local p, try = show.p, show.try

local state = 42
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n + 1
end

local function drain(h)
  local out = {}
  while true do
    local a, b = h:pop()
    if a == nil then break end
    out[#out + 1] = b == nil and a or { a, b }
  end
  return out
end

-- heapsort, both directions, own orders
for _, n in ipairs { 0, 1, 2, 7, 50 } do
  local low, high = heap.minHeap(), heap.maxHeap()
  for _ = 1, n do
    local v = random(100)
    low:insert(v)
    high:insert(v)
  end
  p("size", low:size(), high:size(), low:peek(), high:peek())
  p("min", drain(low))
  p("max", drain(high))
end
local byname = heap.minHeap(function(a, b) return a.name < b.name end)
for _, name in ipairs { "pear", "apple", "fig", "kiwi", "date" } do byname:insert { name = name } end
local names = {}
for i, v in ipairs(drain(byname)) do names[i] = v.name end
p("by name", names)

-- update and remove by position
local h = heap.minHeap()
for i = 20, 1, -1 do h:insert(i * 3) end
p("values", h.values)
h:update(5, 1000)
h:update(1, -5)
p("removed", h:remove(3), h:remove(h:size()), h:remove(1))
p("values", h.values)
try("no such", h.remove, h, 999)
try("nil value", h.insert, h, nil)
try("update nil", h.update, h, 1, nil)
p("rest", drain(h))

-- a unique heap against a model kept as a table
local u, model, log = heap.minUnique(), {}, {}
local function model_min()
  local best
  for payload, value in pairs(model) do
    if not best or value < model[best] then best = payload end
  end
  return best, model[best]
end
local next_value = 0
for step = 1, 4000 do
  local what, payload = random(10), "p" .. random(200)
  next_value = next_value + 7919
  local value = next_value % 104729 -- distinct values: no ties to settle
  if what <= 4 then
    if model[payload] == nil then
      u:insert(value, payload)
      model[payload] = value
    else
      u:update(payload, value)
      model[payload] = value
    end
  elseif what <= 6 then
    local removed = u:remove(payload)
    assert((removed ~= nil) == (model[payload] ~= nil))
    model[payload] = nil
  elseif what <= 8 then
    local want_payload, want_value = model_min()
    local got_payload, got_value = u:peek()
    assert(want_payload == got_payload and want_value == got_value, step)
    assert(u:peekValue() == want_value)
  else
    local want_payload, want_value = model_min()
    local got_payload, got_value = u:pop()
    assert(got_payload == want_payload and got_value == want_value, step)
    if got_payload then model[got_payload] = nil end
  end
  assert(u:valueByPayload(payload) == model[payload])
  if step % 400 == 0 then
    local n = 0
    for _ in pairs(model) do n = n + 1 end
    assert(n == u:size())
    log[#log + 1] = n
  end
end
p("sizes", log)
for i, pair in ipairs(drain(u)) do
  if i % 10 == 1 then p("left", pair) end
end
try("twice", function()
  local x = heap.maxUnique()
  x:insert(1, "same")
  x:insert(2, "same")
end)
try("nil payload", function() heap.maxUnique():insert(1, nil) end)
local big = heap.maxUnique()
for i = 1, 3000 do big:insert((i * 7919) % 3001, i) end
local sum, last = 0, math.huge
for i = 1, 3000 do
  local payload, value = big:pop()
  assert(value <= last)
  last = value
  sum = (sum * 31 + payload) % 1000003
end
p("checksum", sum, big:size(), big:peek())
