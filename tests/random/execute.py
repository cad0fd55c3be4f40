"""Runs programs under the reference and under moonswap, many to a process, and compares what they print."""
import collections
import os
import re
import subprocess
import tempfile

from generators.dice import quote

HERE = os.path.dirname(os.path.abspath(__file__))
Outcome = collections.namedtuple("Outcome", "status output")
ADDRESS = re.compile(rb"\b(table|function|thread|userdata|builtin|file|CLIBS\*|[A-Za-z_.]+)( ?)(: |\()0x[0-9a-f]{6,16}")
MARK = re.compile(rb"^@@@ (\d+)\n", re.M)


def without(reference):
    """The exit code where there is no reference: a failure only where a skip is one."""
    line = f"{reference} is not installed; run .ci/setup or install the package lua5.4"
    if os.environ.get("MOONSWAP_REQUIRE") == "all":
        print(f"{line} (MOONSWAP_REQUIRE=all)")
        return 1
    print(f"skipped: {line}")
    return 0


def printable(line):
    return line.decode("utf-8", "backslashreplace").replace("\0", "\\0")[:300]


def clean(output):
    return ADDRESS.sub(rb"\1\2\3ADDRESS", output)


def known_differences(reference):
    """The rules of known_differences.toml for the version that `reference` is: (what, pattern, replacement, other, but for)."""
    import tomllib
    version = subprocess.run([reference, "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()
    version = re.search(r"Lua (\d+\.\d+\.\d+)", version)
    release = tuple(map(int, version.group(1).split("."))) if version else (0,)
    with open(os.path.join(HERE, "known_differences.toml"), "rb") as file:
        rules = tomllib.load(file)["difference"]
    return [(r["what"], re.compile(r["pattern"].encode()), r["becomes"].encode() if "becomes" in r else None,
             re.compile(r["moonswap"].encode()) if "moonswap" in r else None,
             re.compile(r["but_for"].encode()) if "but_for" in r else None)
            for r in rules if release < tuple(map(int, r["changed_in"].split(".")))]


def lines_of(outcome):
    return outcome.output.split(b"\n")


def equal(left, right, rules, explained):
    """Whether a line of the reference is moonswap's, as printed or by one or more rules."""
    if left == right:
        return True
    used, changed = [], left
    for what, pattern, becomes, other, but_for in rules:
        if but_for is not None:
            if pattern.search(left) and pattern.search(right) and but_for.sub(b"", left) == but_for.sub(b"", right):
                explained[what] = explained.get(what, 0) + 1
                return True
            continue
        if other is not None:
            if pattern.search(left) and other.search(right):
                explained[what] = explained.get(what, 0) + 1
                return True
            continue
        new = pattern.sub(becomes, changed)
        if new != changed:
            used.append(what)
            changed = new
    if not used or changed != right:
        return False
    for what in used:
        explained[what] = explained.get(what, 0) + 1
    return True


def differing_lines(first, second, rules):
    a, b = lines_of(first), lines_of(second)
    n = max(len(a), len(b))
    a, b = a + [b""] * (n - len(a)), b + [b""] * (n - len(b))
    return [(x, y) for x, y in zip(a, b) if not equal(x, y, rules, {})]


def difference(first, second, rules, explained):
    """None, or the first lines that differ, as text."""
    if first == second:
        return None
    a, b = lines_of(first), lines_of(second)
    if first.status == second.status and len(a) == len(b) and all(equal(x, y, rules, explained) for x, y in zip(a, b)):
        return None
    pairs = differing_lines(first, second, rules)
    left, right = pairs[0] if pairs else (b"", b"")
    return printable(left), printable(right), f"{first.status}/{second.status}" if first.status != second.status else ""


class Pair:
    """The two interpreters."""

    def __init__(self, reference, moonswap, timeout):
        self.commands = [reference, moonswap]
        self.timeout = timeout
        with open(os.path.join(HERE, "prelude.lua"), encoding="utf-8") as file:
            self.prelude = file.read()
        self.environment = dict(os.environ, LC_ALL="C", TZ="UTC")
        for name in ("LUA_INIT", "LUA_INIT_5_4", "LUA_PATH", "LUA_PATH_5_4", "LUA_CPATH", "LUA_CPATH_5_4"):
            self.environment.pop(name, None)

    def process(self, command, text, both_outputs):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "p.lua"), "wb") as out:
                out.write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
            try:
                p = subprocess.run([command, "p.lua"], cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, timeout=self.timeout, check=False)
            except subprocess.TimeoutExpired:
                return Outcome("timeout", b"")
        output = p.stdout
        if both_outputs:
            errors = re.sub(rb"^(/?[^\s:]*/)?" + re.escape(os.path.basename(command).encode()) + rb": ", b"PROGRAM: ", p.stderr, flags=re.M)
            output += b"\n-- stderr\n" + errors
        elif p.returncode != 0:
            output += b"\n-- stderr\n" + p.stderr[-500:]
        return Outcome(p.returncode, clean(output))

    def batch(self, command, texts):
        """What each of `texts` prints, or None when the process did not end well."""
        parts = [self.prelude] + [f"RUN({i}, {quote(text)})" for i, text in enumerate(texts)]
        outcome = self.process(command, "\n".join(parts) + "\n", False)
        if outcome.status != 0:
            return outcome if len(texts) == 1 else None
        pieces = MARK.split(outcome.output)
        if len(pieces) != 2 * len(texts) + 1:
            return Outcome("lost output", outcome.output) if len(texts) == 1 else None
        found = dict(zip(map(int, pieces[1::2]), pieces[2::2]))
        return [Outcome(0, found.get(i, b"")) for i in range(len(texts))]

    def outcomes(self, command, texts):
        if len(texts) == 1 and texts[0].startswith("--process"):
            return [self.process(command, texts[0], True)]
        done = self.batch(command, texts)
        if isinstance(done, list):
            return done
        if len(texts) == 1:
            return [done]
        middle = len(texts) // 2
        return self.outcomes(command, texts[:middle]) + self.outcomes(command, texts[middle:])

    def run(self, texts):
        return list(zip(*(self.outcomes(command, texts) for command in self.commands)))

    def first_that_differs(self, candidates, rules):
        """The index of the first of `candidates` that still differs, or None."""
        if not candidates:
            return None
        if candidates[0].startswith("--process"):
            for i, text in enumerate(candidates):
                (first, second), = self.run([text])
                if difference(first, second, rules, {}):
                    return i
            return None
        for i, (first, second) in enumerate(self.run(candidates)):
            if difference(first, second, rules, {}):
                return i
        return None
