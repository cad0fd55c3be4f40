#!/usr/bin/env python3
"""Memory against the reference interpreter, and against mlua.

    benches/memory.py [--moonswap BINARY] [--reference lua5.4] [--mlua BINARY]
                      [--only PATTERN] [--rounds 3] [--quick]

Peak resident memory of programs (benches/memory, lua-tests/memory/bounded, some of
benches/scripts) and of hosts (the binary `hosts` beside moonswap's; the reference
runs what it does as a script).  `account` is what moonswap says it has: the most in
the loop of a host, what there is at the end of a program.
Bar for each: 1.3 times the reference and 4 MiB.  Loaded code (benches/code.lua): bytes
by the interpreter's own account, bar 1.3 times the reference.  One million live objects
(livepoints.lua): bar 140 MiB.  Binary trees: ratio of the CPU times, smallest of
the rounds, bar 1.  `--quick` leaves out the last two.

mlua is the binary `hosts_mlua` (`--mlua`, or beside moonswap's if it is there): the
same loops with mlua, and the programs.  Its column has no bar.  "-": mlua has
nothing of the kind.
Exit code: 0, or 1 when a bar is exceeded or a program fails.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

from compare import HERE, ROOT, TARGET, run

MEMORY_BAR = 140    # MiB
TIME_BAR = 1.0
FACTOR, SLACK = 1.3, 4.0
LOAD_BAR = 5.0      # what loading a binary chunk takes; the aim is 2
PEAK = os.path.join(HERE, "memory", "peak.lua.txt")
FOLDERS = [("", os.path.join(HERE, "memory")), ("bounded/", os.path.join(ROOT, "lua-tests", "memory", "bounded"))]
SCRIPTS = ["binarytrees", "closevars", "counters", "functional", "generators", "linkedlists",
           "operators", "points", "proxies", "spawn", "strbuild", "tablelib"]
TURNS = "1000000"
MODULE = "local M = {} function M.f(a) return a + %d end function M.g(a) return M.f(a) * 2 end return M"
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
    "named-chunks": "for i = 1, 1e6 do load('return 1 + 1', '@request ' .. i .. '.lua')() end",
    "finalizers": "local class = { __gc = function() end } for i = 1, 1e6 do setmetatable({ i }, class) end",
    "files": "for i = 1, 1e6 do local f = assert(io.open '/proc/self/comm') f:read 'a' f:close() end",
    "joined": "for i = 1, 1e6 do local s = '' for k = 1, 10 do s = s .. k .. ' of ' .. i end end",
    "patches": "for i = 1, 1000 do load(('" + MODULE + "'):format(i), '@module.lua')() end",
}


# What has no counterpart with mlua, and why.
NOT_MLUA = {"host: patches": "mlua cannot swap functions; the reference loads the module again"}


def peak(command):
    """The peak that the command prints, in MiB, and its output."""
    _, _, out, complaint = run(command, ROOT, None, 300)
    text = out.decode("utf-8", "replace")
    found = re.search(r"^peak (\d+)", text, re.M)
    if complaint or not found:
        sys.exit(f"{' '.join(command)}: {complaint or 'prints no peak'}")
    return int(found.group(1)) / 1024, text


def compare_all(binaries, only):
    """A line for each program and host; whether a bar is exceeded."""
    def with_mlua(name, arguments):
        if not mlua or name in NOT_MLUA:
            return "-" if mlua else ""
        return f"{peak([mlua, *arguments])[0]:.1f}"

    ours, theirs, mlua = binaries["moonswap"], binaries["reference"], binaries.get("mlua")
    hosts = os.path.join(os.path.dirname(ours), "hosts")
    if not os.path.exists(hosts):
        sys.exit(f"hosts: {hosts} is not there; cargo build --release -p moonswap-benches --bin hosts")
    rows = []
    for prefix, folder in FOLDERS:
        for file in sorted(os.listdir(folder)):
            if file.endswith(".lua"):
                rows.append((prefix + file[:-4], os.path.join(folder, file)))
    rows += [("scripts/" + name, os.path.join(HERE, "scripts", name + ".lua")) for name in SCRIPTS]
    rows += [("host: " + name, None) for name in subprocess.check_output([hosts, "list"]).decode().split()]
    exceeded = []
    version = subprocess.check_output([theirs, "-v"], stderr=subprocess.STDOUT).decode()
    print(f"reference: {version.split('  ')[0].strip()}")
    print(f"{'MiB at most':34}{'reference':>10}{'mlua':>8}{'moonswap':>10}{'account':>9}{'bar':>8}")
    for name, program in rows:
        if only and not re.search(only, name):
            continue
        if program:
            reference, _ = peak([theirs, PEAK, program])
            found, out = peak([ours, PEAK, program])
            other = with_mlua(name, ["run", PEAK, program])
        else:
            name_of_loop = name.removeprefix("host: ")
            reference, _ = peak([theirs, "-e", HOSTS[name_of_loop], PEAK])
            found, out = peak([hosts, name_of_loop, TURNS])
            other = with_mlua(name, [name_of_loop, TURNS])
        account = int(re.findall(r"account (\d+)$", out, re.M)[-1]) / 1024
        bar = reference * FACTOR + SLACK
        if found > bar:
            exceeded.append(name)
        print(f"{name:34}{reference:10.1f}{other:>8}{found:10.1f}{account:9.1f}{bar:8.1f}  "
              f"{'EXCEEDED' if found > bar else 'met'}", flush=True)
    if mlua:
        print("\n".join(f"-, {name}: {reason}" for name, reason in NOT_MLUA.items()))
    print(f"{len(rows)} programs and hosts; above the bar: {', '.join(exceeded) or 'none'}")
    return bool(exceeded)


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
    ap.add_argument("--mlua")
    ap.add_argument("--only", help="only programs whose name matches")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--quick", action="store_true")
    options = ap.parse_args()
    binaries = {"reference": options.reference, "moonswap": options.moonswap}
    mlua = options.mlua or os.path.join(os.path.dirname(options.moonswap), "hosts_mlua")
    if options.mlua or os.path.exists(mlua):
        binaries["mlua"] = mlua
    else:
        print("no column of mlua; cargo build --release -p moonswap-benches --features mlua --bin hosts_mlua")
    for name, binary in binaries.items():
        found = shutil.which(binary)
        if not found:
            sys.exit(f"{name}: {binary} is not there")
        binaries[name] = os.path.abspath(found)

    def measure(script):
        """Seconds and MiB of each interpreter."""
        best = {name: (float("inf"), 0.0) for name in ("reference", "moonswap")}
        for _ in range(max(1, options.rounds)):
            for name in best:
                seconds, kib, _, complaint = run([binaries[name], script], os.path.join(HERE, "scripts"), None, 60)
                if complaint:
                    sys.exit(f"{script} / {name}: {complaint}")
                best[name] = (min(best[name][0], seconds), max(best[name][1], kib / 1024))
        return best

    is_exceeded = not options.only and code({name: binaries[name] for name in ("reference", "moonswap")})
    is_exceeded |= compare_all(binaries, options.only)
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
