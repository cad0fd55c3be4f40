-- §3.4.2: operands become integers; shifts are logical and may exceed 63.
print(5 & 3, 5 | 3, 5 ~ 3, ~5, ~0, 1 << 4, 256 >> 4, -1 >> 60)
print(1 << 63, 1 << 64, 1 << -1, 2 >> -1, -1 << 63, -1 >> 64, 1 << 1000, 1 >> math.mininteger)
print(3.0 & 1, 2 ^ 31 | 0, 1.0 << 2.0)
for _, source in ipairs {
  "return 1.5 & 1", "return {} | 1", "return 'a' | 1", "return '1.5' | 1", "return '7' & 3", "return 2^64 | 0",
  "local x = 1.5 return x ~ 1", "local t = {} return t.k << 1", "return ~{}", "return ~1.25", "return 1 & nil",
} do
  print(pcall(load(source, "=src")))
end
local x = 0xF0F0
x = (x & 0xFF00) >> 8 | (x & 0x00FF) << 8
print(("%x"):format(x))
