#!/usr/bin/env python3
"""Memory and allocation against the reference interpreter.

    benches/memory.py [--moonswap BINARY] [--reference lua5.4] [--rounds 3]

One million live objects (livepoints.lua): peak RSS, bar 140 MiB.  Binary trees
(binarytrees.lua): ratio of the CPU times, smallest of the rounds, bar 1.
Exit code: 0, or 1 when a bar is exceeded or a program fails.
"""
import argparse
import os
import shutil
import sys

from compare import HERE, TARGET, run

MEMORY_BAR = 140    # MiB
TIME_BAR = 1.0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--moonswap", default=os.path.join(TARGET, "release", "moonswap"))
    ap.add_argument("--reference", default="lua5.4")
    ap.add_argument("--rounds", type=int, default=3)
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

    is_exceeded = False
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
