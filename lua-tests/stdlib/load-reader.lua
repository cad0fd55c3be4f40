-- How often `load` calls its reader: not again after an error or a bad header, which
-- an endless reader relies on.
local function reads(pieces, last, mode)
  local n = 0
  local f, message = load(function()
    n = n + 1
    if n > 300 then return nil end
    return pieces[n] or last
  end, "=x", mode)
  print(n, f and "loaded" or message)
end

-- texts: errors of the grammar, of tokens, of names and labels
reads({"x = = 1"}, " y ")
reads({"x", " =", " = ", "1"}, " y ")
reads({"x = 1 ) "}, " y() ")
reads({"return 1 x "}, " y() ")
reads({"x = 3x "}, " y() ")
reads({"local x = 'abc\n"}, " y() ")
reads({"x = '\\q' "}, " y() ")
reads({"x = \"\\300\" "}, " y() ")
reads({"x = 1 \0 "}, " y() ")
reads({"x = [=x "}, " y() ")
reads({"local x <foo> "}, " y() ")
reads({"local x <const> = 1 ", "x = 2 "}, " y() ")
reads({"::a:: ", "::a:: "}, " y() ")
reads({"goto l ; do ::l:: end "}, " y() ")
reads({"function f() goto l end "}, " y() ")
reads({"function f() break end "}, " y() ")
reads({"local a ", "=", " ~", "= 1 "}, " y() ")
reads({"f("}, " y y ")

-- what may be right when more comes is read on
reads({"x ", "=", "= 1"}, " y() ")
reads({"return ", "1"}, nil)
reads({"return 1 "}, ")")
reads({"x = 1 e"}, " ")
reads({"break "}, " y() ")
reads({"goto l "}, " y() ")
reads({"goto l ", "::l", ":: "}, nil)
reads({"x = ", "'a", "b'"}, nil)
reads({"x = [", "[a]", "]"}, nil)
reads({"x = 1 -", "- comment ) ", "\n y()"}, nil)
reads({"do local x <const> = 1 end ", "x = 2 "}, nil)
reads({"", "never"}, nil)

-- binary chunks: headers, and nothing behind the end
reads({"\27Lua"}, "xxxxxxx")
reads({"\27Lub"}, "xxxxxxx")
reads({"\27Lua\x53"}, "xxxxxxx")
reads({"\27Lua\x54\1"}, "xxxxxxx")
reads({string.dump(function() return 1 end)}, "xxxxxxx")
reads({"\27Lua"}, nil)
reads({"\27Lua"}, "x", "t")
reads({"x = 1"}, "x", "b")

-- the same with many pieces, and with long ones
local letters = {}
for letter in ("local t = {} for i = 1, 10 do t[i] = i end return ) #t"):gmatch "." do
  letters[#letters + 1] = letter
end
reads(letters, " ")
reads({("x = 1 "):rep(100000), "y = ) "}, " y() ")

-- a reader that raises or yields
print(load(function() error("reason", 0) end))
print(pcall(load, function() return {} end))
print(coroutine.wrap(function() return load(coroutine.yield) end)())
