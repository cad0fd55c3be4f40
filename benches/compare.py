#!/usr/bin/env python3
"""Time moonswap against the reference interpreter on benches/scripts.

    benches/compare.py                      # the table of ratios and means
    benches/compare.py --rounds 3 --only 'fib|nbody'
    benches/compare.py --gate 0.90 --class-gate 1.25

Each program is run by all interpreters in turn, round after round, so that a
change of the machine's speed meets all of them alike.  A run costs the user
plus system time that the kernel accounts to it; the smallest over the rounds
counts.  Peak memory is the kernel's ru_maxrss; it can not fall below that of
this process, which the child is forked from, so smaller peaks show as "-".  A
ratio below 1 means faster (or smaller) than the reference.

Exit code: 0, or 1 when a program failed, printed something else than the
reference, or a gate was exceeded.
"""
import argparse
import json
import math
import os
import re
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")


def read_manifest(path, only):
    programs = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("#") or not line.strip():
                continue
            file, klass, args, _flags = (line.rstrip("\n").split("\t") + [""] * 4)[:4]
            if not only or re.search(only, file):
                programs.append((file.strip(), klass.strip(), shlex.split(args)))
    return programs


def run(command, cwd, cpu, timeout):
    """One run: (seconds, peak KiB, output, complaint or None)."""
    def prepare():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(["timeout", "-s", "KILL", str(timeout)] + command if timeout else command,
                                 cwd=cwd, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=err, preexec_fn=prepare)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        complaint = None
        if code != 0:
            text = err.read().decode("utf-8", "replace").strip().splitlines()
            complaint = f"exit {code}: {text[0][:140] if text else ''}"
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss, out.read(), complaint


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def show(value):
    return "    -" if value is None else f"{value:5.2f}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--moonswap", default=os.path.join(TARGET, "release", "moonswap"))
    ap.add_argument("--reference", default="lua5.4")
    ap.add_argument("--luajit", action="store_true", help="time luajit as well, when it is installed")
    ap.add_argument("--scripts", default=os.path.join(HERE, "scripts"))
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--only", metavar="REGEX")
    ap.add_argument("--cpu", type=int, help="pin every run to this cpu")
    ap.add_argument("--timeout", type=int, default=60, metavar="SECONDS")
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--gate", type=float, help="largest allowed overall geometric mean")
    ap.add_argument("--class-gate", type=float, help="largest allowed geometric mean of a class")
    options = ap.parse_args()

    interpreters = {"reference": options.reference, "moonswap": options.moonswap}
    if options.luajit:
        interpreters["luajit"] = "luajit"
    for name, binary in interpreters.items():
        found = shutil.which(binary)
        if not found:
            sys.exit(f"{name}: {binary} is not there; build it with `cargo build --release`, or install it")
        interpreters[name] = os.path.abspath(found)
    rivals = [name for name in interpreters if name != "reference"]
    programs = read_manifest(os.path.join(options.scripts, "manifest.tsv"), options.only)
    if not programs:
        sys.exit("no program selected")

    rows, complaints = [], []
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.05
    print(f"{'program':18}{'class':22}{'ref s':>7}" + "".join(f"{r:>10}{'rss':>7}" for r in rivals), flush=True)
    for file, klass, args in programs:
        seconds = {name: [] for name in interpreters}
        peak = dict.fromkeys(interpreters, 0)
        failed, expected = set(), None
        for _ in range(max(1, options.rounds)):
            for name, binary in interpreters.items():
                if name in failed:
                    continue
                cost, rss, output, complaint = run([binary, file] + args, options.scripts,
                                                   options.cpu, options.timeout)
                if complaint is None and name == "reference":
                    expected = output
                elif complaint is None and name == "moonswap" and output != expected:
                    complaint = "prints something else: " + output.decode("utf-8", "replace")[:100]
                if complaint:
                    failed.add(name)
                    if name != "luajit":        # 5.1: some programs are not for it
                        complaints.append(f"{file} / {name}: {complaint}")
                    continue
                seconds[name].append(cost)
                peak[name] = max(peak[name], rss)
        best = {n: min(s) if s and n not in failed else None for n, s in seconds.items()}
        base = best["reference"]
        ratio = {n: best[n] / base if best[n] and base else None for n in rivals}
        memory = {n: peak[n] / peak["reference"] if best[n] and peak["reference"] > floor else None
                  for n in rivals}
        rows.append({"program": file, "class": klass, "seconds": seconds, "best": best, "ratio": ratio,
                     "peak_kib": peak, "memory_ratio": memory})
        print(f"{file[:-4]:18}{klass:22}{base or math.nan:7.3f}"
              + "".join(f"{show(ratio[n]):>10}{show(memory[n]):>7}" for n in rivals), flush=True)

    classes = list(dict.fromkeys(row["class"] for row in rows))
    means = {klass: {n: geomean([r["ratio"][n] for r in rows if r["class"] == klass]) for n in rivals}
             for klass in classes}
    overall = {n: geomean([row["ratio"][n] for row in rows]) for n in rivals}
    print(f"\n{'geometric mean of the time ratios':47}" + "".join(f"{r:>10}" for r in rivals))
    for klass in classes:
        print(f"{klass:47}" + "".join(f"{show(means[klass][n]):>10}" for n in rivals))
    print(f"{'overall':47}" + "".join(f"{show(overall[n]):>10}" for n in rivals))
    noise = [statistics.median(s) / min(s) for row in rows for s in row["seconds"].values() if s]
    if noise:
        print(f"\nnoise (median of rounds / smallest): {statistics.median(noise):.3f}, worst {max(noise):.3f}")

    if options.gate is not None and (overall["moonswap"] or math.inf) > options.gate:
        complaints.append(f"overall mean {show(overall['moonswap'])} is above {options.gate}")
    if options.class_gate is not None:
        for klass in classes:
            if (means[klass]["moonswap"] or math.inf) > options.class_gate:
                complaints.append(f"{klass}: mean {show(means[klass]['moonswap'])} is above {options.class_gate}")
    for complaint in complaints:
        print("FAIL", complaint)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"rounds": options.rounds, "rows": rows, "classes": means, "overall": overall,
                       "complaints": complaints}, out, indent=1)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
