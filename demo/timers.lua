-- Timers: functions that run every so many ticks. What they remember lives in
-- the variables they captured.

local M = {}

local list = {}

-- Runs `action(tick)` every `period` ticks.
function M.every(period, action)
  list[#list + 1] = { period = period, action = action }
end

function M.run(tick)
  for _, timer in ipairs(list) do
    if tick % timer.period == 0 then
      timer.action(tick)
    end
  end
end

-- A bell; the answer is a function that tells how often it has rung.
function M.bell(period, volume)
  local rings = 0
  M.every(period, function()
    rings = rings + 1
  end)
  return function() return rings end, volume
end

return M
