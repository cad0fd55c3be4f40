-- A queue of tasks of several kinds, scheduled by priority with dispatch
-- through a field that holds the class.
local rounds = tonumber(arg and arg[1]) or 220000
local Task = {}
Task.__index = Task
local function task(class, priority)
  return setmetatable({ priority = priority, queue = {}, head = 1, tail = 0, done = 0, next = nil }, class)
end
function Task:push(packet)
  self.tail = self.tail + 1
  self.queue[self.tail] = packet
end
function Task:pop()
  if self.head > self.tail then return nil end
  local packet = self.queue[self.head]
  self.queue[self.head] = nil
  self.head = self.head + 1
  if self.head > self.tail then self.head, self.tail = 1, 0 end
  return packet
end
local function subclass()
  local c = setmetatable({}, { __index = Task })
  c.__index = c
  return c
end
local Worker, Router, Sink = subclass(), subclass(), subclass()
local sink, router, worker = task(Sink, 1), task(Router, 2), task(Worker, 3)
function Worker:run(packet)
  packet.value = (packet.value * 31 + 7) % 65536
  packet.hops = packet.hops + 1
  router:push(packet)
end
function Router:run(packet)
  if packet.hops < 5 then worker:push(packet) else sink:push(packet) end
end
function Sink:run(packet)
  self.sum = ((self.sum or 0) + packet.value) % 1000003
end
local list = { worker, router, sink }
local steps = 0
for i = 1, rounds do
  worker:push({ value = i, hops = 0 })
  local busy = true
  while busy do
    busy = false
    for k = 1, 3 do
      local t = list[k]
      local packet = t:pop()
      if packet then
        t:run(packet)
        t.done = t.done + 1
        steps = steps + 1
        busy = true
      end
    end
  end
end
print(sink.sum, steps, worker.done, router.done, sink.done)
