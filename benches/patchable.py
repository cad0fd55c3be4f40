#!/usr/bin/env python3
"""What being patchable costs: the program that users get against one with swapping compiled out.

    benches/patchable.py                     # builds both, counts, then times
    benches/patchable.py --count --only fib  # instruction counts alone (valgrind)
    benches/patchable.py --time --rounds 9 --patches 10000

The second program is built with the feature `frozen` (crates/moonswap-vm/src/callee.rs says
what it leaves out).  Counted are the instructions of reduced runs, by cachegrind; the random
seed of hashes changes them by some tenths of a percent, so the least of some runs counts.
Timed are the programs of benches/scripts at full size, in turn, by their own CPU time: frozen,
normal, and normal after each program was patched PATCHES times (benches/timed.lua); the least
of the rounds counts.  Ratios are to the frozen program.

Exit code: 0, or 1 when a geometric mean exceeds --gate (default: not checked).
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

from compare import HERE, ROOT, TARGET, geomean, read_manifest

# Sizes at which cachegrind takes about a second; others run at a fortieth of their default.
SMALL = {"ackermann": 6, "binarytrees": 10, "fannkuch": 8, "fib": 24, "queens": 8, "mandelbrot": 120,
         "matmul": 60, "spectralnorm": 100, "patterns": 8, "functional": 60, "linkedlists": 6, "tablelib": 12}


def build():
    frozen = os.path.join(TARGET, "frozen")
    cargo = ["cargo", "build", "--release", "-p", "moonswap-cli"]
    for extra in ([], ["--features", "frozen", "--target-dir", frozen]):
        subprocess.run(cargo + extra, cwd=ROOT, check=True)


def small_size(scripts, file):
    name = file.removesuffix(".lua")
    if name in SMALL:
        return SMALL[name]
    with open(os.path.join(scripts, file), encoding="utf-8") as lines:
        default = re.search(r"arg\[1\]\) or (\d+)", lines.read())
    return max(1, int(default[1]) // 40)


def instructions(binary, scripts, file, repeats):
    least = None
    for _ in range(repeats):
        with tempfile.NamedTemporaryFile() as sink:
            command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={sink.name}",
                       binary, file, str(small_size(scripts, file))]
            done = subprocess.run(command, cwd=scripts, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
        if done.returncode != 0 or not found:
            sys.exit(f"{file}: {done.stderr[-300:]}")
        count = int(found[1].replace(",", ""))
        least = count if least is None else min(least, count)
    return least


def seconds(binary, scripts, file, args, patches):
    command = [binary, os.path.join(HERE, "timed.lua"), str(patches), file] + args
    done = subprocess.run(command, cwd=scripts, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = re.search(r"^TIME ([\d.]+)", done.stderr, re.M)
    if done.returncode != 0 or not found:
        sys.exit(f"{file}: {done.stderr[-300:]}")
    return float(found[1])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--normal", help="program with swapping (default: build it)")
    ap.add_argument("--frozen", help="program without")
    ap.add_argument("--count", action="store_true", help="only count instructions")
    ap.add_argument("--time", action="store_true", help="only take times")
    ap.add_argument("--scripts", default=os.path.join(HERE, "scripts"))
    ap.add_argument("--only", metavar="REGEX")
    ap.add_argument("--repeats", type=int, default=2, help="runs of each count")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--patches", type=int, default=10_000)
    ap.add_argument("--gate", type=float, help="largest allowed geometric mean, e.g. 1.01")
    options = ap.parse_args()
    if not options.normal or not options.frozen:
        build()
    normal = os.path.abspath(options.normal or os.path.join(TARGET, "release", "moonswap"))
    frozen = os.path.abspath(options.frozen or os.path.join(TARGET, "frozen", "release", "moonswap"))
    programs = read_manifest(os.path.join(options.scripts, "manifest.tsv"), options.only)
    means = {}

    if not options.time:
        if not shutil.which("valgrind"):
            sys.exit("valgrind is not there")
        ratios = []
        print(f"{'program':18}{'frozen':>14}{'normal':>14}{'ratio':>8}   instructions, startup included")
        for file, _klass, _args in programs:
            counts = [instructions(b, options.scripts, file, options.repeats) for b in (frozen, normal)]
            ratios.append(counts[1] / counts[0])
            print(f"{file[:-4]:18}{counts[0]:14,}{counts[1]:14,}{ratios[-1]:8.4f}", flush=True)
        means["instructions"] = geomean(ratios)
        print(f"{'geometric mean':46}{means['instructions']:8.4f}\n")

    if not options.count:
        runs = {"frozen": (frozen, 0), "normal": (normal, 0), "patched": (normal, options.patches)}
        rows = {"normal": [], "patched": []}
        print(f"{'program':18}{'frozen s':>10}{'normal':>10}{'patched':>10}   time; after {options.patches} patches")
        for file, _klass, args in programs:
            best = dict.fromkeys(runs, float("inf"))
            for _ in range(max(1, options.rounds)):
                for name, (binary, patches) in runs.items():
                    best[name] = min(best[name], seconds(binary, options.scripts, file, args, patches))
            ratio = {name: best[name] / best["frozen"] for name in rows}
            for name, value in ratio.items():
                rows[name].append(value)
            print(f"{file[:-4]:18}{best['frozen']:10.3f}{ratio['normal']:10.3f}{ratio['patched']:10.3f}", flush=True)
        for name, values in rows.items():
            means[f"time, {name}"] = geomean(values)
        print(f"{'geometric mean':28}" + "".join(f"{geomean(v):10.3f}" for v in rows.values()))

    exceeded = {k: v for k, v in means.items() if options.gate and v > options.gate}
    for what, value in exceeded.items():
        print(f"FAIL {what}: {value:.4f} is above {options.gate}")
    sys.exit(1 if exceeded else 0)


if __name__ == "__main__":
    main()
