//! Tables, strings, metamethods.

use super::{machine, run, run_hard};

#[test]
fn arrays_and_hashes_grow_and_shrink() {
    run_hard(
        "local t = {}
         for i = 1, 20 do t[i] = i end
         for i = 20, 11, -1 do t[i] = nil end
         for i = 1, 12 do t['k' .. i] = i end
         t[2.5], t[-1], t[true], t[3.0] = 'f', 'n', 'b', 'three'
         local n, sum = 0, 0
         for k, v in next, t do
           n = n + 1
           if v == 4 then t[k] = nil end
         end
         for k, v in next, t, nil do sum = sum + 1 end
         return #t, n, sum, t[2.5], t[-1], t[true], t[3]",
        "10 25 23 f n b three",
    );
}

#[test]
fn strings_are_short_long_and_large() {
    run_hard(
        "local s, t = 'ab', {}
         for i = 1, 13 do s = s .. s; t[s] = #s end
         local u = 'x' .. 1 .. 2.5 .. 'y'
         return #s, t[s], u, 'a' < 'b', s == s .. '', (s .. 'a') < (s .. 'b')",
        "16384 16384 x12.5y true true true",
    );
}

#[test]
fn metamethods_are_called_and_return() {
    run_hard(
        "local mt = {}
         local function new(v) return setmetatable({v = v}, mt) end
         mt.__add = function(a, b) return new(a.v + (b.v or b)) end
         mt.__index = function(t, k) return k .. '!' end
         mt.__newindex = function(t, k, v) mt.seen = k end
         mt.__eq = function(a, b) return a.v == b.v end
         mt.__lt = function(a, b) return a.v < b.v end
         mt.__le = function(a, b) return a.v <= b.v end
         mt.__len = function(a) return a.v end
         mt.__concat = function(a, b) return 'cat' end
         mt.__call = function(self, ...) return self.v, ... end
         mt.__tostring = function(self) return 'T' .. self.v end
         mt.__unm = function(a) return new(-a.v) end
         local a, b = new(1), new(2)
         a.field = 1
         local x, y, z = (a + b)(7, 8)
         return x, y, z, a.none, mt.seen, a == b, a < b, a <= b, #b, a .. 'x', tostring(-a)",
        "3 7 8 none! field false true true 2 cat T-1",
    );
}

#[test]
fn numbers_of_both_kinds() {
    let machine = machine();
    assert_eq!(
        run(
            &machine,
            "local n, f = 0, 0
             for i = 10, 1, -3 do n = n + i end
             for x = 0.0, 1.0, 0.25 do f = f + x end
             return n, f, 7 // 2, -7 % 3, 7 / 2, 2^10, 5 & 3, 5 | 3, 5 ~ 3, ~0, 1 << 62, 10 + 5"
        ),
        "22 2.5 3 2 3.5 1024.0 1 7 6 -1 4611686018427387904 15"
    );
}

#[test]
fn errors_of_tables_have_texts() {
    let machine = machine();
    for (source, expected) in [
        (
            "local t; t.x = 1",
            "error: test:1: attempt to index a nil value (local 't')",
        ),
        (
            "return 1 + {}",
            "error: test:1: attempt to perform arithmetic on a table value",
        ),
        (
            "local t = {}; t[nil] = 1",
            "error: test:1: table index is nil",
        ),
        (
            "return #5",
            "error: test:1: attempt to get length of a number value",
        ),
        (
            "return {} < {}",
            "error: test:1: attempt to compare two table values",
        ),
    ] {
        assert_eq!(run(&machine, source), expected);
    }
}
