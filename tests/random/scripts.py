#!/usr/bin/env python3
"""Every script of lua-tests/ under the reference and under moonswap: stdout and exit status must agree.

    tests/random/scripts.py --moonswap target/release/moonswap [part of a name …]

Left out are: `official/` (its own runner judges it), and scripts that use what
only moonswap has: those whose text contains `require "moonswap"` (with any
quotes or parentheses), and scenarios (`*.scn`, `*.lua.txt`), which are no programs;
and scripts with a line `-- reference: REASON`, which says why it can not run them.
Lines that differ as `known_differences.toml` says are equal.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import execute  # noqa: E402

OWN_MODULE = re.compile(rb"""require\s*\(?\s*["']moonswap["'.]""")
UNFIT = re.compile(rb"^-- reference: (.+)$", re.M)


def scripts(top):
    for folder, folders, files in os.walk(top):
        # fetched; or made to run against a limit, which the reference has not
        left_out = {"official", "limits", "memory"} if folder == top else set()
        folders[:] = sorted(f for f in folders if f not in left_out)
        for name in sorted(files):
            if name.endswith(".lua"):
                yield os.path.join(folder, name)


def run(command, path, environment):
    try:
        p = subprocess.run([command, os.path.basename(path)], cwd=os.path.dirname(path), env=environment, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return execute.Outcome("timeout", b"")
    return execute.Outcome(p.returncode, execute.clean(p.stdout))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="only scripts whose path contains one of these")
    parser.add_argument("--moonswap", default=os.path.join(HERE, "../../target/release/moonswap"))
    parser.add_argument("--reference", default="lua5.4")
    options = parser.parse_args()
    if not shutil.which(options.reference):
        return execute.without(options.reference)
    rules = execute.known_differences(options.reference)
    pair = execute.Pair(options.reference, os.path.abspath(options.moonswap), 120)
    top = os.path.join(HERE, "../../lua-tests")
    chosen, own = [], 0
    for path in scripts(os.path.normpath(top)):
        if options.parts and not any(part in path for part in options.parts):
            continue
        with open(path, "rb") as file:
            text = file.read()
        if OWN_MODULE.search(text):
            own += 1
            continue
        skipped = UNFIT.search(text)
        if skipped:
            print(f"left out: {os.path.relpath(path, top)}: {skipped.group(1).decode()}")
            continue
        chosen.append(path)
    bad = 0
    explained = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(lambda path: [run(command, path, pair.environment) for command in pair.commands], chosen)
        for path, (first, second) in zip(chosen, results):
            if first.status == "timeout":
                print(f"left out: {os.path.relpath(path, top)}: the reference does not end within 120 s")
                continue
            if not execute.difference(first, second, rules, explained):
                continue
            bad += 1
            print(f"== {os.path.relpath(path, top)}: exit {first.status} / {second.status}")
            for left, right in execute.differing_lines(first, second, rules)[:3]:
                print("  reference:", execute.printable(left))
                print("  moonswap: ", execute.printable(right))
    print(f"{len(chosen)} scripts, {bad} differ; {own} left out, they use moonswap's own module")
    for what, count in sorted(explained.items()):
        print(f"  {count} lines: {what}")
    if not chosen:
        print("no script to compare")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
