-- Those who live in the world: a base class and two kinds, by metatables.

local events = require "events"

local Actor = {}
Actor.__index = Actor

function Actor.new(class, name, health)
  return setmetatable({ name = name, health = health, full = health, place = 1 }, class)
end

function Actor:alive()
  return self.health > 0
end

function Actor:revive()
  self.health = self.full
end

function Actor:damage()
  return 5
end

function Actor:attack(other)
  other.health = other.health - self:damage()
  if not other:alive() then
    events.emit("death", other, self)
  end
end

local Hero = setmetatable({}, { __index = Actor })
Hero.__index = Hero

function Hero.new(name)
  return Actor.new(Hero, name, 60)
end

function Hero:damage()
  return 7 -- edit me
end

function Hero:greeting()
  return "Hello, traveller" -- edit me
end

local Monster = setmetatable({}, { __index = Actor })
Monster.__index = Monster

function Monster.new(name)
  return Actor.new(Monster, name, 40)
end

return { Actor = Actor, Hero = Hero, Monster = Monster }
