#!/bin/sh
# Checks that the handlers of the interpreter's dispatch table are tail-threaded.
#
#     benches/check-tail-calls.sh [BINARY]       default: TARGET/release/moonswap,
#     where TARGET is CARGO_TARGET_DIR or target
#
# Disassembles an optimised binary (with symbols) and fails if a handler, or the
# out-of-line slow path of one, makes an indirect call or does not leave by a
# jump; if a handler of the hot set saves registers before its fast path; or if
# there are fewer handlers than expected.
# Needs objdump. Exit code: 0 all as it should be, 1 not, 2 could not look.
set -u
binary=${1:-${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/release/moonswap}
command -v objdump >/dev/null || { echo "check-tail-calls: objdump is missing" >&2; exit 2; }
[ -r "$binary" ] || { echo "check-tail-calls: cannot read $binary" >&2; exit 2; }

# Fast paths without a stack frame.
hot="Move LoadInt LoadConst GetUpvalue SetUpvalue GetTabUp SetTabUp GetTable GetIndex GetField SetField
Add Sub Mul Div Mod AddImm SubImm AddConst SubConst MulConst BitAnd BitOr BitXor Negate Not Length
Jump JumpBack JumpEq JumpNotEq JumpLt JumpNotLt JumpLe JumpNotLe JumpEqConst JumpNotEqConst
JumpLtImm JumpNotLtImm JumpIf JumpIfNot Call Return0 Return1 ForLoop TForLoop TForCall"

objdump -d --no-show-raw-insn "$binary" | awk -v hot="$hot" '
    function finish() {
        if (name == "") return
        handlers++
        if (calls) { print "indirect call in " name; bad++ }
        # A jump through the table, or to the slow path that has one.
        if (!jumps) { print "no jump out of " name; bad++ }
        if (short in is_hot && pushes) { print "stack frame in the fast path of " name; bad++ }
        name = ""
    }
    BEGIN { n = split(hot, list); for (i = 1; i <= n; i++) is_hot[list[i]] = 1 }
    /^[0-9a-f]+ <.*>:$/ {
        finish()
        if ($0 ~ /interp.*backend.*handlers/ || $0 ~ /interp.*drive.*tail.*slow_handler/) {
            name = $2
            short = name
            if (short ~ /8handlers[0-9]+/) {
                sub(/^.*8handlers/, "", short)
                length_of = short + 0
                sub(/^[0-9]+/, "", short)
                short = substr(short, 1, length_of)
                found[short] = 1
            }
            calls = jumps = pushes = 0
        }
        next
    }
    name == "" { next }
    / call +\*/ || /\tcall +\*/ { if ($0 !~ /\(%rip\)/) calls++ }
    /\tjmp +\*%/ { jumps++ }
    /\tj[a-z]+ +.*slow_handler/ { jumps++ }
    /\tpush / { pushes++ }
    END {
        finish()
        for (op in is_hot) {
            # identical handlers are folded into one symbol: JumpBack is Jump
            if (!(op in found) && op != "JumpBack" && op != "Jump") { print "no handler " op; bad++ }
        }
        if (handlers < 80) { print "only " handlers + 0 " handlers found: is it a tail-threaded release build?"; bad++ }
        if (bad) { print bad " problem(s)"; exit 1 }
        print handlers " handlers and slow paths: all leave by jumps"
    }'
