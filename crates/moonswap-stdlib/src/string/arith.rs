//! Arithmetic on strings: the metamethods that convert strings to numbers.

use moonswap_number::{Number, parse};
use moonswap_vm::context::{Context, NativeFn, Outcome, View};

/// The arithmetic metamethods in the metatable of strings.
pub(super) const METAMETHODS: &[(&str, NativeFn)] = &[
    ("__add", |cx| arith(cx, "__add")),
    ("__sub", |cx| arith(cx, "__sub")),
    ("__mul", |cx| arith(cx, "__mul")),
    ("__mod", |cx| arith(cx, "__mod")),
    ("__pow", |cx| arith(cx, "__pow")),
    ("__div", |cx| arith(cx, "__div")),
    ("__idiv", |cx| arith(cx, "__idiv")),
    ("__unm", |cx| arith(cx, "__unm")),
];

fn number(value: View<'_>) -> Option<Number> {
    match value {
        View::Integer(i) => Some(Number::Int(i)),
        View::Float(f) => Some(Number::Float(f)),
        View::String(text) => parse(text.as_bytes()),
        _ => None,
    }
}

fn push(cx: &Context<'_>, number: Number) {
    match number {
        Number::Int(i) => cx.push_int(i),
        Number::Float(f) => cx.push_num(f),
    }
}

fn arith(cx: &mut Context<'_>, event: &str) -> Outcome<usize> {
    let first = number(cx.at(0));
    // A missing second operand is the first once more, as in the reference,
    // which finds the converted first one in its place.
    let second = if cx.has(1) { number(cx.at(1)) } else { first };
    if let (Some(first), Some(second)) = (first, second) {
        push(cx, first);
        if event != "__unm" {
            push(cx, second);
        }
        cx.arith(event)?;
        return Ok(1);
    }
    other_metamethod(cx, event)
}

/// The other operand may know what to do; a string as the second one has
/// only this very function to offer.
fn other_metamethod(cx: &mut Context<'_>, event: &str) -> Outcome<usize> {
    let (first, second) = (cx.at(0), cx.at(1));
    let method = match second {
        View::String(_) => View::Nil,
        _ => cx.metafield(1, event),
    };
    if method.is_nil() {
        let operation = event.trim_start_matches('_');
        let (first, second) = (first.type_name(), second.type_name());
        return Err(cx.error(format!(
            "attempt to {operation} a '{first}' with a '{second}'"
        )));
    }
    cx.push(method);
    cx.push(first);
    cx.push(second);
    cx.call(2, Some(1))
}
