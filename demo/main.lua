-- A small game world that runs for ever. Start it with
--
--     moonswap run --watch demo/main.lua
--
-- and edit the line marked "edit me" in actors.lua while it runs.
--
-- DEMO_TICKS=n ends it after n ticks; DEMO_STATUS=n prints a status line every
-- n ticks (20); DEMO_TICK=s is the length of a tick in seconds (0.005).

local here = arg and arg[0] and arg[0]:match("^(.*)[/\\]") or "."
package.path = here .. "/?.lua;" .. package.path

local world = require "world"

-- Under other interpreters, and where the host offers no sleep, wait busily.
local function busy_wait(seconds)
  local stop = os.clock() + seconds
  repeat until os.clock() >= stop
end
local found, moonswap = pcall(require, "moonswap")
local sleep = found and type(moonswap) == "table" and moonswap.sleep or busy_wait

local last = tonumber(os.getenv "DEMO_TICKS") or math.huge
local every = tonumber(os.getenv "DEMO_STATUS") or 20
local length = tonumber(os.getenv "DEMO_TICK") or 0.005

world.start()
for tick = 1, last do
  world.tick(tick)
  if tick % every == 0 then
    io.write(world.status(tick), "\n")
    io.flush()
  end
  sleep(length)
end
