#!/usr/bin/env bash
# Puts the official Lua 5.4.8 test suite into lua-tests/official/ (ignored by
# git). It comes from the source package of lupa, which carries it unchanged;
# the package is pinned by version and SHA-256.
#
# MOONSWAP_OFFICIAL_SUITE=DIR names a `testes` folder that is already there; it
# is copied instead, and nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")"
target=official
version=2.8
sha256=d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08

if [ -f "$target/.complete" ] && [ -z "${MOONSWAP_OFFICIAL_SUITE:-}" ]; then
  echo "official suite: already in lua-tests/$target"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "${MOONSWAP_OFFICIAL_SUITE:-}" ]; then
  suite=$MOONSWAP_OFFICIAL_SUITE
else
  if python3 -m pip --version >/dev/null 2>&1; then pip="python3 -m pip"; else pip=pip3; fi
  # pip asks the package for its metadata, which would compile its modules for each
  # Lua it carries or finds: minutes.
  LUPA_NO_BUNDLE=true PKG_CONFIG_LIBDIR=/nonexistent PKG_CONFIG_PATH= \
    $pip download --quiet --no-deps --no-binary lupa --dest "$work" "lupa==$version"
  archive=$(ls "$work"/lupa-*.tar.gz)
  echo "$sha256  $archive" | sha256sum --check --quiet
  tar -xzf "$archive" -C "$work"
  suite=$(echo "$work"/lupa-*/third-party/lua54/testes)
fi
[ -f "$suite/all.lua" ] || { echo "no test suite in $suite" >&2; exit 1; }

rm -rf "$target"
mkdir -p "$target"
cp -R "$suite/." "$target/"
# attrib.lua writes into this folder and expects it to be there.
mkdir -p "$target/libs/P1"
# main.lua asks for this module as a C library found through package.cpath; a
# VM without a C loader gets it as a Lua file beside the tests.
echo 'return { id = function() return true end }' > "$target/lib2-v2.lua"
touch "$target/.complete"
echo "official suite: in lua-tests/$target"
