-- needs: markdown
-- A library for Lua 5.1: it wants `setfenv` and `unpack`, which are made here
-- from the debug library, as programs that moved to 5.4 do.
function setfenv(level, environment)
  local f = level
  if type(level) == "number" then f = debug.getinfo(level + 1, "f").func end
  local i = 1
  while true do
    local name = debug.getupvalue(f, i)
    if name == nil then return f end
    if name == "_ENV" then
      debug.upvaluejoin(f, i, function() return environment end, 1)
      return f
    end
    i = i + 1
  end
end
unpack = table.unpack
require "markdown"
local markdown = assert(markdown)
local show = require "show"

local pieces = {
  "Heading\n=======\n\nSub\n---\n\n# One\n## Two ##\n###### Six\n####### Seven",
  "A paragraph\nof two lines.\n\nAnother with  \na hard break.",
  "*emphasis* _too_ **strong** __too__ ***both*** snake_case_word * alone * 2*3*4",
  "`code` and ``code with ` inside`` and `<tag>` &amp; & < > \"quotes\"",
  "> quoted\n> more\n>\n> > nested\n>\n> * list\n> * in quote\n\nafter",
  "* one\n* two\n* three\n\n+ plus\n+ list\n\n- dash\n- list",
  "1. first\n2. second\n10. tenth\n\n7. starts at seven",
  "* loose\n\n* items\n\n  with paragraphs\n\n* end",
  "* a\n    * b\n        * c\n            * d\n* back\n    1. ordered\n    2. inside",
  "    code block\n    \twith tab\n\n    <b>&</b>\n\ntext\n\n\ttab code",
  "[link](http://example.com/) [with title](/path \"The title\") [ref][id] [id][] [Implicit] [none][missing]\n\n[id]: http://example.org/x?a=1&b=2  'Ref title'\n[implicit]: <http://i.example/>\n    \"on the next line\"",
  "![image](/a.png) ![alt *text*](/b.png \"t\") ![ref][img]\n\n[img]: /c.png (parens)",
  "<http://auto.example/?q=1> <someone@example.com>",
  "***\n* * *\n---\n- - -\n______\n\ntext",
  "<div>\n*not emphasis* in html\n</div>\n\n<p>inline <em>html</em></p>\n\n<!-- comment *x* -->\n\ntext <span>*yes*</span>",
  "\\*escaped\\* \\_ \\` \\# \\[x\\] \\(y\\) \\\\ \\! \\{ \\} \\+ \\- \\.",
  "Line one\r\nLine two\r\n\r\n* list\r\n* crlf",
  "AT&T &copy; &#169; 4 < 5 > 3 <notatag <b>bold</b>",
  "Term (with [brackets] inside) and [nested [brackets]](/url) and [a](<b> \"c\")",
  "",
  "\n\n\n",
  "word",
}
for i, text in ipairs(pieces) do
  print("piece " .. i)
  print(markdown(text))
end

-- a document of all of them, many times over, in different orders
local seed = 3
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end
local function checksum(text)
  local sum = 0
  for i = 1, #text do sum = (sum * 31 + text:byte(i)) % 1000000007 end
  return sum
end
for round = 1, 6 do
  local parts = {}
  for i = 1, 20 * round do parts[i] = pieces[random(#pieces)] end
  local html = markdown(table.concat(parts, "\n\n"))
  local tags = {}
  for tag in html:gmatch "<(%a%w*)" do tags[tag] = (tags[tag] or 0) + 1 end
  show.p("document " .. round, #html, checksum(html), tags)
end

-- long paragraphs, deep nesting, and random punctuation
print(#markdown(("word *emph* `code` [l](u) "):rep(400)))
local nested = {}
for i = 0, 12 do nested[#nested + 1] = ("    "):rep(i) .. "* level " .. i end
print(markdown(table.concat(nested, "\n")))
print(markdown((">"):rep(12) .. " deep"))
local alphabet = { "*", "_", "`", "[", "]", "(", ")", "<", ">", "#", "\n", " ", "a", "!", "\\", "1.", "- ", "\t", "&", "\"" }
for _ = 1, 60 do
  local out = {}
  for i = 1, random(60) do out[i] = alphabet[random(#alphabet)] end
  local html = markdown(table.concat(out))
  print(#html, checksum(html))
end
