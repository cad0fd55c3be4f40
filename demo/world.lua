-- The world ties the modules together: who lives here, what happens in a tick,
-- and the line that tells how things stand.

local actors = require "actors"
local bank = require "bank"
local events = require "events"
local quests = require "quests"
local timers = require "timers"

local M = {}

local TREASURY = 10000
local heroes, monsters = {}, {}
local now = 0
local fights = 0
local bells

function M.start()
  bank.open("treasury", TREASURY)
  for _, name in ipairs { "Ada", "Bo", "Cy" } do
    heroes[#heroes + 1] = actors.Hero.new(name)
  end
  for _, name in ipairs { "Rat", "Ogre" } do
    monsters[#monsters + 1] = actors.Monster.new(name)
  end
  for _, group in ipairs { heroes, monsters } do
    for _, actor in ipairs(group) do
      bank.open(actor.name, 0)
      bank.transfer("treasury", actor.name, 100)
    end
  end

  events.on("death", function(victim, killer)
    bank.transfer(victim.name, killer.name, bank.balance(victim.name))
    victim:revive()
    -- A new purse, as long as the treasury has something; else the killer pays tax.
    if not bank.transfer("treasury", victim.name, 100) then
      bank.transfer(killer.name, "treasury", bank.balance(killer.name) // 2)
    end
  end)

  bells = timers.bell(10, 3)
  for _, hero in ipairs(heroes) do
    quests.begin("patrol", quests.patrol, hero)
  end
  quests.begin("harvest", quests.harvest)
end

local function fight(tick)
  local hero = heroes[tick % #heroes + 1]
  local monster = monsters[tick % #monsters + 1]
  fights = fights + 1
  hero:attack(monster)
  if monster:alive() then
    monster:attack(hero)
  end
end

function M.tick(tick)
  now = tick
  timers.run(tick)
  quests.run(tick)
  fight(tick)
  bank.check(TREASURY)
end

function M.status(tick)
  return string.format("tick=%d gold=%s bell=%d patrol=%d harvest=%d fights=%d damage=%d greeting=%q",
    tick, bank.state(), bells(), quests.steps "patrol", quests.steps "harvest", fights,
    heroes[1]:damage(), heroes[1]:greeting())
end

return M
