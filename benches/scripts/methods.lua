-- Method calls found through two levels of metatable inheritance.
local n = tonumber(arg and arg[1]) or 6500000
local Shape = {}
Shape.__index = Shape
function Shape.new(class, name)
  return setmetatable({ name = name, moves = 0, x = 0 }, class)
end
function Shape:move(dx)
  self.x = self.x + dx
  self.moves = self.moves + 1
  return self
end
function Shape:area() return 0 end
local Rect = setmetatable({}, { __index = Shape })
Rect.__index = Rect
function Rect.new(w, h)
  local self = Shape.new(Rect, "rect")
  self.w, self.h = w, h
  return self
end
function Rect:area() return self.w * self.h end
local Square = setmetatable({}, { __index = Rect })
Square.__index = Square
function Square.new(w)
  return setmetatable(Rect.new(w, w), Square)
end
local shapes = { Rect.new(2, 3), Square.new(4), Shape.new(Shape, "plain") }
local total = 0
for i = 1, n do
  local shape = shapes[i % 3 + 1]
  total = total + shape:move(1):area()
end
print(total, shapes[1].x, shapes[2].moves, shapes[3].name)
