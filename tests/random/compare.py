#!/usr/bin/env python3
"""Random Lua programs, run by the reference and by moonswap; shrinks and prints what differs.

    tests/random/compare.py --programs 2000 --seed 1
    tests/random/compare.py --only patterns,format --programs 100
    tests/random/compare.py --seed 17 --only pack --show      # print that program only

Program number N of a run is made by generator N modulo their count from seed
`--seed` + N, so a report's `generator:seed` names a program for good. Programs
that need no process of their own run many to a process; those that begin with
`--process` are whole programs, of which both outputs and the exit status count.

`known_differences.toml` says what the reference's version prints otherwise than
Lua 5.4.8, the version moonswap follows: rules for lines of output. A line that
differs and that no rule explains is reported, after statements, then tokens that
do not matter were taken away from the program.

The environment (MOONSWAP_STRESS, for the runner made for it) passes through.
Exit code: 0, or 1 when a difference remains or a program killed moonswap.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import execute  # noqa: E402
import shrink  # noqa: E402
from generators import GENERATORS  # noqa: E402
from generators.dice import Dice  # noqa: E402


def signature(generator, difference):
    """Differences with the same signature are most likely one."""
    simple = [re.sub(r"'[^']*'|[0-9]+|0x[0-9a-f]+", "_", line)[:80] for line in difference]
    return (generator, *simple)


def report(name, count, text, first, second, rules):
    print(f"\n== {name}" + (f" and {count - 1} programs like it" if count > 1 else ""))
    print(text.rstrip("\n"))
    for left, right in execute.differing_lines(first, second, rules)[:4]:
        print("  reference:", execute.printable(left))
        print("  moonswap: ", execute.printable(right))
    if first.status != second.status:
        print(f"  exit: {first.status} / {second.status}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--programs", "--count", type=int, default=len(GENERATORS), dest="programs")
    parser.add_argument("--only", default="", help="generators, comma separated; all without")
    parser.add_argument("--show", action="store_true", help="print the program of the seed, run nothing")
    parser.add_argument("--moonswap", default=os.path.join(HERE, "../../target/release/moonswap"))
    parser.add_argument("--reference", default="lua5.4")
    parser.add_argument("--batch", type=int, default=25, help="programs in a process")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=20, help="seconds for a process")
    parser.add_argument("--reports", type=int, default=40, help="differences to shrink and print")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()

    names = options.only.split(",") if options.only else list(GENERATORS)
    unknown = [n for n in names if n not in GENERATORS]
    if unknown:
        parser.error(f"no generator {', '.join(unknown)}; there are {', '.join(GENERATORS)}")
    if options.show:
        for name in names if options.only else names[:0] or [names[options.seed % len(names)]]:
            print(GENERATORS[name](Dice(options.seed)))
        return 0
    if not shutil.which(options.reference):
        return execute.without(options.reference)

    began = time.monotonic()
    rules = execute.known_differences(options.reference)
    pair = execute.Pair(options.reference, os.path.abspath(options.moonswap), options.timeout)
    programs = []
    for i in range(options.programs):
        name = names[i % len(names)]
        programs.append((f"{name}:{options.seed + i}", GENERATORS[name](Dice(options.seed + i))))
    alone = [p for p in programs if p[1].startswith("--process")]
    together = [p for p in programs if not p[1].startswith("--process")]
    batches = [together[i::-(-len(together) // options.batch)] for i in range(-(-len(together) // options.batch))]
    batches += [[p] for p in alone]

    found, skipped, explained = {}, [], {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for results in pool.map(lambda batch: pair.run([text for _, text in batch]), batches):
            batch = batches.pop(0)
            for (name, text), (first, second) in zip(batch, results):
                if first.status == "timeout" and second.status == "timeout":
                    skipped.append(name)
                    continue
                difference = execute.difference(first, second, rules, explained)
                if difference:
                    found.setdefault(signature(name.split(":")[0], difference), []).append((name, text))
    for i, (_, like) in enumerate(sorted(found.items(), key=lambda item: -len(item[1]))):
        if i == options.reports:
            print(f"\n({len(found) - i} further differences are not printed)")
            break
        name, text = min(like, key=lambda p: len(p[1]))
        if not options.no_shrink:
            text = shrink.shrink(text, lambda candidates: pair.first_that_differs(candidates, rules))
        (first, second), = pair.run([text])
        report(name, len(like), text, first, second, rules)
    bad = sum(map(len, found.values()))
    print(f"{len(programs)} programs from seed {options.seed}, {bad} differ"
          + (f", {len(skipped)} run too long in both: {chr(32).join(skipped[:9])}" if skipped else "") + f"; {time.monotonic() - began:.0f} s")
    for what, count in sorted(explained.items()):
        print(f"  {count} lines: {what}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
