"""The random choices that the generators share."""
import random

INTEGERS = ["0", "1", "-1", "2", "3", "-3", "7", "10", "63", "64", "65", "-64", "100", "255", "256", "1000000", "2147483647",
            "2147483648", "-2147483648", "4294967296", "0x7fffffffffffffff", "math.maxinteger", "math.mininteger",
            "math.mininteger + 1", "9007199254740992", "9007199254740993", "-9007199254740993", "0xffffffffffffffff"]
FLOATS = ["0.0", "-0.0", "0.5", "-0.5", "1.5", "2.5", "-2.5", "3.0", "1e15", "1e16", "1e100", "-1e100", "1e308", "2^53", "2^53 + 2", "2^63",
          "-2^63", "2^63 - 1024", "2^64", "0.1", "1e-5", "1e-320", "0x1p-1074", "0x1.fffffffffffffp1023", "1/0", "-1/0", "3.14159",
          "1e14", "123456.789", "9.99999999999995e14", "math.pi", "math.huge", "5e-324", "1e17"]
NAN = ["(0/0)"]
NUMERALS = ['"10"', '"0x10"', '" 5 "', '"1e1"', '"-7"', '"0x7fffffffffffffff"', '"9223372036854775808"', '"1.5"', '"-0"', '"0x.8p1"',
            '"  12\\n"', '"1e"', '"0x"', '"1 2"', '"nan"', '"inf"', '""', '"abc"', '"1\\0"', '"٣"']
STRINGS = ['"a"', '"abc"', '""', '"hello world"', '"\\255z"', '"x\\0y"', '"10"', '"  pad  "', '"%d"', '"key=value"', '"héllo"', '"a,b,,c"',
           '"THE (quick) fox"', '"\\n\\t"', '"0x1p4"']
OTHERS = ["nil", "true", "false", "{}", "print", "function() end", "io.stdout", "coroutine.create(print)", "setmetatable({}, {__name = 'My.Type'})"]


class Dice(random.Random):
    """A seeded source; `fresh` gives names used nowhere else in the program."""

    def __init__(self, seed):
        super().__init__(seed)
        self.names = 0

    def fresh(self, stem):
        self.names += 1
        return f"{stem}{self.names}"

    def one(self, items):
        return items[self.randrange(len(items))]

    def some(self, items, low, high):
        return [self.one(items) for _ in range(self.randint(low, high))]

    def often(self, share):
        return self.random() < share

    def integer(self):
        if self.often(0.25):
            return str(self.randint(-12, 12))
        if self.often(0.12):
            n = self.getrandbits(64) - (1 << 63)
            return f"(0x{n & (1 << 64) - 1:x})" if self.often(0.5) or n == -(1 << 63) else f"({n})"
        return self.one(INTEGERS)

    def float(self):
        r = self.random()
        if r < 0.12:
            return repr(self.uniform(-1000, 1000))
        if r < 0.22:
            return f"{self.randint(1, 10**17)}e{self.randint(-330, 310)}"
        if r < 0.3:
            return f"0x{self.getrandbits(self.randint(1, 60)):x}.{self.getrandbits(20):x}p{self.randint(-1080, 1000)}"
        return self.one(FLOATS)

    def number(self):
        r = self.random()
        return self.integer() if r < 0.5 else self.float() if r < 0.95 else NAN[0]

    def string(self):
        if self.often(0.2):
            return quote(bytes(self.randrange(256) for _ in range(self.randint(0, 6))))
        return self.one(STRINGS) if self.often(0.6) else self.one(NUMERALS)

    def other(self):
        return self.one(OTHERS)

    def value(self):
        r = self.random()
        if r < 0.4:
            return self.number()
        if r < 0.7:
            return self.string()
        return self.other()


def quote(text):
    """A Lua string literal for the bytes `text`."""
    if isinstance(text, str):
        text = text.encode("utf-8")
    out = []
    for i, c in enumerate(text):
        if c == 10:
            out.append("\\n")
        elif c in (34, 92):
            out.append("\\" + chr(c))
        elif 32 <= c < 127:
            out.append(chr(c))
        else:
            follows = text[i + 1:i + 2]
            out.append(f"\\{c:03d}" if follows.isdigit() else f"\\{c}")
    return '"' + "".join(out) + '"'
