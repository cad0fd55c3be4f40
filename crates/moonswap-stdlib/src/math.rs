//! The mathematical library, with the reference's pseudo-random generator
//! (xoshiro256**), so that equal seeds give equal sequences.

use std::f64::consts::PI;

use moonswap_number::{Number, ceil_to_int, float_to_int, floor_to_int, lt};
use moonswap_vm::context::{Context, NativeFn, Outcome, View};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("abs", abs),
    ("acos", |cx| cx.ret_num(cx.check_num(0)?.acos())),
    ("asin", |cx| cx.ret_num(cx.check_num(0)?.asin())),
    ("atan", |cx| {
        cx.ret_num(cx.check_num(0)?.atan2(cx.opt_num(1, 1.0)?))
    }),
    ("ceil", ceil),
    ("cos", |cx| cx.ret_num(cx.check_num(0)?.cos())),
    ("deg", |cx| cx.ret_num(cx.check_num(0)? * (180.0 / PI))),
    ("exp", |cx| cx.ret_num(cx.check_num(0)?.exp())),
    ("floor", floor),
    ("fmod", fmod),
    ("log", log),
    ("max", max),
    ("min", min),
    ("modf", modf),
    ("rad", |cx| cx.ret_num(cx.check_num(0)? * (PI / 180.0))),
    ("random", random),
    ("randomseed", randomseed),
    ("sin", |cx| cx.ret_num(cx.check_num(0)?.sin())),
    ("sqrt", |cx| cx.ret_num(cx.check_num(0)?.sqrt())),
    ("tan", |cx| cx.ret_num(cx.check_num(0)?.tan())),
    ("tointeger", tointeger),
    ("type", type_),
    ("ult", |cx| {
        cx.ret_bool((cx.check_int(0)? as u64) < cx.check_int(1)? as u64)
    }),
];

/// Opens the library as the global `math`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "math", FUNCTIONS)?;
    let table = cx.height() - 1;
    cx.push_num(PI);
    cx.raw_set_field(table, "pi")?;
    cx.push_num(f64::INFINITY);
    cx.raw_set_field(table, "huge")?;
    cx.push_int(i64::MAX);
    cx.raw_set_field(table, "maxinteger")?;
    cx.push_int(i64::MIN);
    cx.raw_set_field(table, "mininteger")?;
    cx.set_height(table);
    Ok(())
}

fn abs(cx: &mut Context<'_>) -> Outcome<usize> {
    if let View::Integer(i) = cx.at(0) {
        return cx.ret_int(i.wrapping_abs());
    }
    cx.ret_num(cx.check_num(0)?.abs())
}

fn floor(cx: &mut Context<'_>) -> Outcome<usize> {
    if let View::Integer(i) = cx.at(0) {
        return cx.ret_int(i);
    }
    let x = cx.check_num(0)?;
    match floor_to_int(x) {
        Some(i) => cx.ret_int(i),
        None => cx.ret_num(x.floor()),
    }
}

fn ceil(cx: &mut Context<'_>) -> Outcome<usize> {
    if let View::Integer(i) = cx.at(0) {
        return cx.ret_int(i);
    }
    let x = cx.check_num(0)?;
    match ceil_to_int(x) {
        Some(i) => cx.ret_int(i),
        None => cx.ret_num(x.ceil()),
    }
}

fn fmod(cx: &mut Context<'_>) -> Outcome<usize> {
    if let (View::Integer(a), View::Integer(b)) = (cx.at(0), cx.at(1)) {
        if b == 0 {
            return Err(cx.arg_error(1, "zero"));
        }
        return cx.ret_int(a.wrapping_rem(b));
    }
    // The reference leaves the order to the C compiler; its builds check the
    // second argument first.
    let b = cx.check_num(1)?;
    cx.ret_num(cx.check_num(0)? % b)
}

fn modf(cx: &mut Context<'_>) -> Outcome<usize> {
    if let View::Integer(i) = cx.at(0) {
        cx.push_int(i);
        cx.push_num(0.0);
        return Ok(2);
    }
    let x = cx.check_num(0)?;
    let whole = x.trunc();
    match float_to_int(whole) {
        Some(i) => cx.push_int(i),
        None => cx.push_num(whole),
    }
    // infinities have no fraction
    cx.push_num(if x == whole { 0.0 } else { x - whole });
    Ok(2)
}

fn log(cx: &mut Context<'_>) -> Outcome<usize> {
    let x = cx.check_num(0)?;
    if cx.at(1).is_nil() {
        return cx.ret_num(x.ln());
    }
    let base = cx.check_num(1)?;
    cx.ret_num(if base == 2.0 {
        x.log2()
    } else if base == 10.0 {
        x.log10()
    } else {
        x.ln() / base.ln()
    })
}

fn tointeger(cx: &mut Context<'_>) -> Outcome<usize> {
    match cx.at(0).to_integer() {
        Some(i) => cx.ret_int(i),
        None => {
            cx.check_any(0)?;
            cx.push_nil();
            Ok(1)
        }
    }
}

fn type_(cx: &mut Context<'_>) -> Outcome<usize> {
    match cx.at(0) {
        View::Integer(_) => cx.ret_bytes(b"integer"),
        View::Float(_) => cx.ret_bytes(b"float"),
        _ => {
            cx.check_any(0)?;
            cx.push_nil();
            Ok(1)
        }
    }
}

fn max(cx: &mut Context<'_>) -> Outcome<usize> {
    extreme(cx, less)
}

fn min(cx: &mut Context<'_>) -> Outcome<usize> {
    extreme(cx, |cx, best, i| less(cx, i, best))
}

fn extreme(
    cx: &mut Context<'_>,
    better: impl Fn(&mut Context<'_>, usize, usize) -> Outcome<bool>,
) -> Outcome<usize> {
    let n = cx.n_args();
    if n == 0 {
        return Err(cx.arg_error(0, "value expected"));
    }
    let mut best = 0;
    for i in 1..n {
        if better(cx, best, i)? {
            best = i;
        }
    }
    cx.push_at(best);
    Ok(1)
}

fn less(cx: &mut Context<'_>, a: usize, b: usize) -> Outcome<bool> {
    let number = |v: View<'_>| match v {
        View::Integer(i) => Some(Number::Int(i)),
        View::Float(f) => Some(Number::Float(f)),
        _ => None,
    };
    match (number(cx.at(a)), number(cx.at(b))) {
        (Some(x), Some(y)) => Ok(lt(x, y)),
        // whatever else the `<` operator can compare
        _ => cx.less_than(a, b),
    }
}

/// State of the xoshiro256** generator.
#[derive(Debug)]
struct Random([u64; 4]);

impl Default for Random {
    fn default() -> Self {
        let mut random = Random([0; 4]);
        let (first, second) = fresh_seed();
        random.seed(first, second);
        random
    }
}

impl Random {
    fn seed(&mut self, first: u64, second: u64) {
        // 0xff keeps the state from being all zero
        self.0 = [first, 0xff, second, 0];
        for _ in 0..16 {
            self.next();
        }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let c = c ^ a;
        let d = d ^ b;
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in `0..=limit`, uniformly: draws are cut to the bits of
    /// `limit`, and repeated when they exceed it.
    fn project(&mut self, mut draw: u64, limit: u64) -> u64 {
        if limit & limit.wrapping_add(1) == 0 {
            return draw & limit;
        }
        let mask = u64::MAX >> limit.leading_zeros();
        loop {
            draw &= mask;
            if draw <= limit {
                return draw;
            }
            draw = self.next();
        }
    }
}

/// A seed from the time and the randomness of std's hash keys.
fn fresh_seed() -> (u64, u64) {
    use std::hash::{BuildHasher, Hasher};
    let noise = || {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    };
    (noise(), noise())
}

fn random(cx: &mut Context<'_>) -> Outcome<usize> {
    let draw = cx.host_state::<Random>().borrow_mut().next();
    let (low, up) = match cx.n_args() {
        0 => {
            // the 53 highest bits make a float in [0, 1)
            return cx.ret_num((draw >> 11) as f64 * (0.5 / (1u64 << 52) as f64));
        }
        1 => {
            let up = cx.check_int(0)?;
            if up == 0 {
                return cx.ret_int(draw as i64);
            }
            (1, up)
        }
        2 => (cx.check_int(0)?, cx.check_int(1)?),
        _ => return Err(cx.error("wrong number of arguments")),
    };
    if low > up {
        return Err(cx.arg_error(0, "interval is empty"));
    }
    let limit = (up as u64).wrapping_sub(low as u64);
    let offset = cx.host_state::<Random>().borrow_mut().project(draw, limit);
    cx.ret_int(offset.wrapping_add(low as u64) as i64)
}

fn randomseed(cx: &mut Context<'_>) -> Outcome<usize> {
    let (first, second) = if cx.has(0) {
        (cx.check_int(0)? as u64, cx.opt_int(1, 0)? as u64)
    } else {
        fresh_seed()
    };
    cx.host_state::<Random>().borrow_mut().seed(first, second);
    cx.push_int(first as i64);
    cx.push_int(second as i64);
    Ok(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_those_of_the_reference() {
        let mut random = Random([0; 4]);
        random.seed(42, 0);
        assert_eq!(random.next(), 0xee49_b4f7_6602_76e5);
        assert_eq!(random.next(), 0x73a8_1c10_9b78_5431);
        assert_eq!(random.next(), 0x8c00_881a_a3bf_bd4b);
        random.seed(7, 9);
        assert_eq!(random.next(), 4_637_322_584_265_719_448);
        let draw = random.next();
        assert_eq!(random.project(draw, 9) + 1, 8);
        let draw = random.next();
        assert_eq!(random.project(draw, 10) as i64 - 5, 5);
        let draw = random.next();
        assert_eq!(random.project(draw, 999_999) + 1, 61_884);
    }
}
