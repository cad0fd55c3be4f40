#!/usr/bin/env python3
"""Which functions of the program run in usual scripts: crates/moonswap-cli/layout.ld.

    cargo build --release -p moonswap-cli && benches/layout.py [--moonswap BINARY]

Linux maps 16 pages around each one that a program touches.  Functions that run, scattered
over all of the code, make most of it resident.  So the linker puts them together, by the
list that this writes (crates/moonswap-cli/build.rs).  It is of names without the hashes
that compilers add.  What is missing in it, or is no more, costs memory only:
benches/memory.py tells when it is time for another list.

Needs valgrind (callgrind) and nm.  Programs: benches/scripts at reduced sizes.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter, defaultdict

from compare import HERE, ROOT, TARGET
from patchable import small_size

LIST = os.path.join(ROOT, "crates", "moonswap-cli", "layout.ld")
SCRIPTS = os.path.join(HERE, "scripts")
PEAK = os.path.join(HERE, "memory", "peak.lua.txt")
HASH = re.compile(r"17h[0-9a-f]{16}E(\.llvm\.\d+)?$")
CRATE = re.compile(r"Cs[0-9A-Za-z]+_")
# What does not run and has the name of something that does: bytes that are let in.
MUCH = 24 << 10
# Handlers of operations, states of the lexer: all of them.
WHOLE = re.compile(r"(8handlers|\.logos\.\.Logos\$GT\$3lex)\d+.*")
TEXT = """\
/* What runs in usual scripts stands together: written by benches/layout.py. First what
   nearly all of them run, last everything else. */
SECTIONS
{
  .text :
  {
    *(
%s
    )
    *(
%s
    )
    *(.text .text.*)
  }
}
INSERT BEFORE .fini;
"""


def pattern_of(name):
    """A symbol's name for the linker, without hashes of crates and of itself."""
    return CRATE.sub("Cs*_", WHOLE.sub(r"\1*", HASH.sub("17h*", name)))


def lines(patterns):
    # Functions that seldom run have ".unlikely" before their names.
    names = [f".text.{pattern} .text.unlikely.{pattern}" for pattern in patterns]
    return textwrap.fill(" ".join(names), 160, initial_indent="      ", subsequent_indent="      ",
                         break_long_words=False, break_on_hyphens=False)


def run_by(binary, arguments):
    """The functions that ran, by the names that the linker knows."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={out.name}", binary]
        done = subprocess.run(command + arguments, cwd=SCRIPTS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{arguments}: {done.stderr[-300:]}")
        with open(out.name, encoding="utf-8") as lines:
            # Recursive calls have the name with a number behind it.
            return set(re.findall(r"^c?fn=\(\d+\) ([^\s']+)", lines.read(), re.M))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--moonswap", default=os.path.join(TARGET, "release", "moonswap"))
    binary = os.path.abspath(ap.parse_args().moonswap)
    programs = [[f, str(small_size(SCRIPTS, f))] for f in sorted(os.listdir(SCRIPTS)) if f.endswith(".lua")]
    programs += [[PEAK, "counters.lua", "100"]]
    times = Counter()
    for arguments in programs:
        print(" ".join(arguments), flush=True)
        times.update(run_by(binary, arguments))
    
    sizes = defaultdict(int)
    found = defaultdict(lambda: [0, 0])
    order = {}
    for line in subprocess.check_output(["nm", "-n", "-S", binary], text=True).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwW":
            _, size, _, name = fields
            pattern = pattern_of(name)
            sizes[pattern] += int(size, 16)
            order.setdefault(pattern, len(order))
            if times[name]:
                ran = found[pattern]
                ran[0], ran[1] = max(ran[0], times[name]), ran[1] + int(size, 16)
    chosen = [pattern for pattern, (_, ran) in found.items() if sizes[pattern] - ran < max(ran, MUCH)]
    # What runs in nearly all of them stands first.
    usual = {pattern for pattern in chosen if found[pattern][0] >= 0.8 * len(programs)}
    chosen.sort(key=order.get)
    parts = [[p for p in chosen if (p in usual) == first] for first in (True, False)]
    with open(LIST, "w", encoding="utf-8") as out:
        out.write(TEXT % tuple(map(lines, parts)))
    total = sum(sizes[pattern] for pattern in chosen) // 1024
    print(f"{len(programs)} programs, {len(chosen)} names, {len(usual)} of them usual; {total} KiB")


if __name__ == "__main__":
    main()
