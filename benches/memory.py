#!/usr/bin/env python3
"""Memory against the reference interpreter.

    benches/memory.py [--moonswap BINARY] [--reference lua5.4] [--rounds 3] [--quick]

Peak RSS of programs (lua-tests/memory/bounded, benches/scripts) and of hosts (the
binary `hosts` beside moonswap's; the reference runs what it does as a script).
Bar for each: 1.3 times the reference and 4 MiB.  Loaded code (benches/code.lua): bytes
by the interpreter's own account, bar 1.3 times the reference.  One million live objects
(livepoints.lua): bar 140 MiB.  Binary trees: ratio of the CPU times, smallest of
the rounds, bar 1.  `--quick` leaves out the last two.
Exit code: 0, or 1 when a bar is exceeded or a program fails.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

from compare import HERE, TARGET, run

MEMORY_BAR = 140    # MiB
TIME_BAR = 1.0
FACTOR, SLACK = 1.3, 4.0
LOAD_BAR = 6.0      # what loading a binary chunk takes; the aim is 2
BOUNDED = os.path.join(HERE, "..", "lua-tests", "memory", "bounded")
SCRIPTS = ["binarytrees", "closevars", "counters", "functional", "generators", "linkedlists",
           "operators", "points", "proxies", "spawn", "strbuild", "tablelib"]
# What the reference does in place of a host's loop of a million turns.
HOSTS = {
    "calls": "local f = function(i) return i end for i = 1, 1e6 do f(i) end",
    "calls-allocate": "local f = function(i) return {i, 'x' .. i} end for i = 1, 1e6 do f(i) end",
    "calls-library": "for i = 1, 1e6 do string.rep('text', i % 50) end",
    "calls-rust": "for i = 1, 1e6 do local f = function(n) return n + i end f(1) end",
    "create-table": "for i = 1, 1e6 do local t = {} t.key = i end",
    "create-string": "for i = 1, 1e6 do local s = 'a string that is number ' .. i end",
    "set-strings": "for i = 1, 1e6 do field = 'value ' .. i end",
    "errors": "for i = 1, 1e6 do pcall(error, 'error ' .. i) end",
    "coroutines": "for i = 1, 1e6 do coroutine.wrap(function(i) coroutine.yield(i) end)(i) end",
    "evaluations": "for i = 1, 1e6 do load('return 1 + 1', '=e')() end",
}


def compare_all(binaries):
    """A line for each program and host; whether a bar is exceeded."""
    rows = [(f[:-4], [os.path.join(BOUNDED, f)]) for f in sorted(os.listdir(BOUNDED)) if f.endswith(".lua")]
    rows += [(name, [os.path.join(HERE, "scripts", name + ".lua")]) for name in SCRIPTS]
    is_exceeded = False
    print(f"{'MiB at most':28}{'reference':>10}{'moonswap':>10}{'account':>9}{'bar':>8}")

    def show(name, theirs, ours, account):
        nonlocal is_exceeded
        bar = theirs * FACTOR + SLACK
        is_exceeded |= ours > bar
        account = "" if account is None else f"{account:.1f}"
        print(f"{name:28}{theirs:10.1f}{ours:10.1f}{account:>9}{bar:8.1f}  {'EXCEEDED' if ours > bar else 'met'}")

    def peak(command):
        _, kib, out, complaint = run(command, HERE, None, 300)
        if complaint:
            sys.exit(f"{' '.join(command)}: {complaint}")
        return kib / 1024, out.decode("utf-8", "replace")

    for name, arguments in rows:
        show(name, peak([binaries["reference"]] + arguments)[0], peak([binaries["moonswap"]] + arguments)[0], None)
    hosts = os.path.join(os.path.dirname(binaries["moonswap"]), "hosts")
    if not os.path.exists(hosts):
        print(f"hosts: {hosts} is not there; cargo build --release -p moonswap-benches --bin hosts")
        return True
    names = subprocess.run([hosts, "list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    for name in names:
        theirs, _ = peak([binaries["reference"], "-e", HOSTS[name]])
        ours, out = peak([hosts, name, "1000000"])
        account = re.search(r"account (\d+)", out)
        show("host: " + name, theirs, ours, int(account.group(1)) / 1024 if account else None)
    return is_exceeded


def code(binaries):
    """Bytes of loaded code and seconds of loading it; whether a bar is exceeded."""
    script = os.path.join(HERE, "code.lua")
    told = {}
    for name, binary in binaries.items():
        out = subprocess.run([binary, script], stdout=subprocess.PIPE, check=True).stdout.decode()
        told[name] = [line.split("\t") for line in out.splitlines()]
    is_exceeded = False
    print(f"{'loaded code':28}{'reference':>12}{'moonswap':>12}{'ratio':>8}{'bar':>8}")
    for (what, unit, theirs), (_, _, ours) in zip(told["reference"], told["moonswap"]):
        ratio = float(ours) / float(theirs)
        bar = FACTOR if unit == "bytes" else LOAD_BAR
        is_exceeded |= ratio > bar
        print(f"{what + ', ' + unit:28}{float(theirs):12.1f}{float(ours):12.1f}{ratio:8.2f}{bar:8.2f}  "
              f"{'EXCEEDED' if ratio > bar else 'met'}")
    return is_exceeded


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--moonswap", default=os.path.join(TARGET, "release", "moonswap"))
    ap.add_argument("--reference", default="lua5.4")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--quick", action="store_true")
    options = ap.parse_args()
    binaries = {"reference": options.reference, "moonswap": options.moonswap}
    for name, binary in binaries.items():
        found = shutil.which(binary)
        if not found:
            sys.exit(f"{name}: {binary} is not there")
        binaries[name] = os.path.abspath(found)

    def measure(script):
        """Seconds and MiB of each interpreter."""
        best = {name: (float("inf"), 0.0) for name in binaries}
        for _ in range(max(1, options.rounds)):
            for name, binary in binaries.items():
                seconds, kib, _, complaint = run([binary, script], os.path.join(HERE, "scripts"), None, 60)
                if complaint:
                    sys.exit(f"{script} / {name}: {complaint}")
                best[name] = (min(best[name][0], seconds), max(best[name][1], kib / 1024))
        return best

    is_exceeded = code(binaries)
    is_exceeded |= compare_all(binaries)
    if options.quick:
        sys.exit(1 if is_exceeded else 0)
    print(f"{'program':16}{'':12}{'seconds':>9}{'MiB':>8}")
    for script in ("livepoints.lua", "binarytrees.lua"):
        best = measure(script)
        for name, (seconds, mib) in best.items():
            print(f"{script[:-4]:16}{name:12}{seconds:9.3f}{mib:8.1f}")
        ratio = best["moonswap"][0] / best["reference"][0]
        if script.startswith("live"):
            above, bar = best["moonswap"][1] > MEMORY_BAR, f"peak {best['moonswap'][1]:.1f} MiB, bar {MEMORY_BAR}"
        else:
            above, bar = ratio > TIME_BAR, f"time ratio {ratio:.2f}, bar {TIME_BAR}"
        print(f"  {bar}: {'EXCEEDED' if above else 'met'}  (time ratio {ratio:.2f}, "
              f"memory ratio {best['moonswap'][1] / best['reference'][1]:.2f})")
        is_exceeded |= above
    sys.exit(1 if is_exceeded else 0)


if __name__ == "__main__":
    main()
