-- needs: basexx
-- Every alphabet, all lengths, ignored characters and bad input.
local basexx = require "basexx"
local show = require "show"
local p = show.p

local alphabets = { "bit", "hex", "base32", "crockford", "base64", "url64", "z85" }
local texts = { "", "f", "fo", "foo", "foob", "fooba", "foobar", "\0", "\255\254\253", "Man is distinguished" }
for _, alphabet in ipairs(alphabets) do
  local to, from = basexx["to_" .. alphabet], basexx["from_" .. alphabet]
  for _, text in ipairs(texts) do
    local ok, coded = pcall(to, text)
    if ok and coded then
      local back, why = from(coded)
      p(alphabet, text, coded, back, why, back == text)
    else
      p(alphabet, text, ok)
    end
  end
end

-- every byte value
local all = {}
for i = 0, 255 do all[#all + 1] = string.char(i) end
all = table.concat(all)
for _, alphabet in ipairs(alphabets) do
  local to, from = basexx["to_" .. alphabet], basexx["from_" .. alphabet]
  local coded = to(all)
  print(alphabet, #coded, coded:sub(1, 40), coded:sub(-20))
  assert(from(coded) == all, alphabet)
end

-- characters to be ignored, and those that are not in the alphabet
p("ignore", basexx.from_hex("48 65-6c:6c 6f", " -:"))
p("ignore", basexx.from_base64("SGVs\nbG8g\nd29y bGQ=", "\n "))
p("ignore", basexx.from_base32("MZXW 6YTB OI==", " "))
p("ignore", basexx.from_bit("0100 1000 0110 1001", " "))
p("ignore", basexx.from_crockford("91JP-RV3F", "-"))
p("bad", basexx.from_hex("4g"))
p("bad", basexx.from_base32("MZX1"))
p("bad", basexx.from_base64("SGV*"))
p("bad", basexx.from_url64("a+b"))
p("bad", basexx.from_bit("01012"))
p("bad", basexx.from_z85("abc"))
p("bad", basexx.from_z85('"""""'))
p("lower", basexx.from_hex("deadBEEF") == "\xde\xad\xbe\xef", basexx.from_base32("mzxw6ytboi======"))
p("z85", basexx.to_z85("\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B"))
p("z85 odd", pcall(basexx.to_z85, "abc"))

-- pseudo-random round trips through several alphabets in turn
local state = 7
local function random(n)
  state = (state * 16807) % 2147483647
  return state % n
end
local checksum = 0
for length = 0, 200, 4 do
  local bytes = {}
  for i = 1, length do bytes[i] = string.char(random(256)) end
  local text = table.concat(bytes)
  for _, alphabet in ipairs(alphabets) do
    local coded = basexx["to_" .. alphabet](text)
    assert(basexx["from_" .. alphabet](coded) == text)
    for i = 1, #coded do checksum = (checksum * 33 + coded:byte(i)) % 1000000007 end
  end
end
p("checksum", checksum)
