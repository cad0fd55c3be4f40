-- Quests: coroutines that do a step and sleep for some ticks.

local M = {}

local running = {}
local done = {}

function M.begin(name, body, ...)
  local thread = coroutine.create(body)
  running[#running + 1] = { name = name, thread = thread, wake = 0, args = table.pack(...) }
end

-- To be called from inside a quest.
local function sleep(ticks)
  coroutine.yield(ticks)
end

local function step(name)
  done[name] = (done[name] or 0) + 1
end

function M.steps(name)
  return done[name] or 0
end

-- A hero walks from place to place, and remembers the way.
function M.patrol(hero)
  local way = {}
  while true do
    for place = 1, 4 do
      way[#way % 16 + 1] = place
      hero.place = place
      step "patrol"
      sleep(6)
    end
  end
end

function M.harvest()
  local season = 1
  while true do
    season = season % 4 + 1
    if season == 3 then
      step "harvest"
    end
    sleep(5)
  end
end

function M.run(tick)
  for _, quest in ipairs(running) do
    if tick >= quest.wake and coroutine.status(quest.thread) == "suspended" then
      local ok, ticks = coroutine.resume(quest.thread, table.unpack(quest.args, 1, quest.args.n))
      if not ok then
        error(("quest %s: %s"):format(quest.name, ticks), 0)
      end
      quest.args = { n = 0 }
      quest.wake = tick + (ticks or 1)
    end
  end
end

return M
