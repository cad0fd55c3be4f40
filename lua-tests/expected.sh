#!/usr/bin/env bash
# Makes the expected outputs in language/, stdlib/ and stress/ with the reference
# interpreter. With --check nothing is written: it fails when one differs.
# LUA names another reference than lua5.4.
set -euo pipefail
cd "$(dirname "$0")"
lua=${LUA:-lua5.4}
# as the tests have it
export LC_ALL=C TZ=UTC
. ../.ci/lib.sh
command -v "$lua" >/dev/null || { skip "$lua" "run .ci/setup or install the package lua5.4"; exit; }
bad=0
for script in language/*.lua stdlib/*.lua stress/*.lua; do
  out=$PWD/${script%.lua}.out
  if [ "${1:-}" = --check ]; then
    (cd "$(dirname "$script")" && "$lua" "$(basename "$script")" </dev/null) | cmp -s - "$out" \
      || { echo "$script: the reference prints something else than its .out"; bad=1; }
  else
    (cd "$(dirname "$script")" && "$lua" "$(basename "$script")" </dev/null) > "$out"
  fi
done
exit $bad
