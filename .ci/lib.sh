# Shared by the scripts in .ci; to be sourced.

# Whether a skip is a failure here.
is_required() { [ "${MOONSWAP_REQUIRE:-}" = all ]; }

# skip WHAT REMEDY: says what is left out, or fails where a skip is a failure.
skip() {
  if is_required; then
    echo "$1 is not installed; $2 (MOONSWAP_REQUIRE=all)" >&2
    return 1
  fi
  echo "skipped: $1 is not installed; $2"
}
