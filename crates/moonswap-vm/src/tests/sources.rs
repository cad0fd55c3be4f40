//! Who may be inside a VM, and what natives may do to a context.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{machine, run, run_in, set_global, sized};
use crate::Root;

#[test]
fn a_suspended_native_lets_the_host_in() {
    let machine = machine();
    let handle = machine.clone();
    set_global(&machine, "enter", move |cx| {
        let n = cx.check_int(0)?;
        let text = cx.suspended(|| {
            handle.with(|inner| {
                inner.push_int(n);
                run_in(
                    inner,
                    "=inner",
                    &format!("collect() return enter and {n} > 0 and enter({n} - 1) or 'end'"),
                )
            })
        });
        // What was on this native's stack is there still.
        assert_eq!(cx.at(0).to_integer(), Some(n));
        cx.ret_bytes(format!("{n}{text}").as_bytes())
    });
    if !cfg!(miri) {
        assert_eq!(run(&machine, "return enter(4)"), "43210end");
    }
    let verify_every = sized(1, 0) as u32;
    machine.set_stress(crate::stress::Stress::always(
        true,
        false,
        true,
        verify_every,
    ));
    assert_eq!(run(&machine, "return enter(1)"), "10end");
    // The natives hold the machine, and the machine them.
    assert_eq!(run(&machine, "enter = nil collect()"), "");
}

#[test]
fn a_native_that_is_not_suspended_keeps_the_host_out() {
    let machine = machine();
    let handle = machine.clone();
    let seen = Rc::new(RefCell::new(String::new()));
    let text = Rc::clone(&seen);
    set_global(&machine, "enter", move |cx| {
        let before = cx.at(0);
        assert!(!handle.is_free());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            handle.with(|cx| cx.gc_collect().is_ok())
        }));
        if let Err(payload) = outcome {
            let message = payload.downcast_ref::<&str>().copied().unwrap_or("?");
            text.borrow_mut().push_str(message);
        }
        // The view lives on: nothing was collected.
        cx.ret(before)
    });
    assert_eq!(run(&machine, "return #enter({1, 2, 3})"), "3");
    assert!(seen.borrow().contains("is in use"), "{}", seen.borrow());
    assert_eq!(run(&machine, "enter = nil collect() return 1"), "1");
}

#[test]
fn a_panic_through_lua_code_closes_the_door_for_good() {
    let machine = machine();
    // One that passes no Lua code does no harm.
    let outcome = catch_unwind(AssertUnwindSafe(|| machine.with(|_| panic!("early"))));
    assert!(outcome.is_err());
    assert_eq!(run(&machine, "return 1"), "1");
    if cfg!(moonswap_tail) {
        // There the process ends: handlers are no functions to unwind through.
        return;
    }
    set_global(&machine, "fail", |_| panic!("late"));
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&machine, "fail()")));
    assert!(outcome.is_err());
    assert!(!machine.is_free());
    let again = catch_unwind(AssertUnwindSafe(|| run(&machine, "return 1")));
    assert!(again.is_err());
}

#[test]
fn natives_that_promise_too_much() {
    let machine = machine();
    set_global(&machine, "results", |_| Ok(1_000_000));
    set_global(&machine, "tails", |cx| {
        cx.push_int(1);
        let announced = cx.tail_call(500, false);
        cx.set_height(0);
        announced
    });
    set_global(&machine, "calls", |cx| {
        cx.set_height(0);
        let empty = cx.call(3, Some(2));
        assert!(empty.is_err());
        cx.push_nil();
        let beyond = cx.call(100, None);
        assert!(beyond.is_err());
        cx.set_height(0);
        assert!(cx.set_index(0).is_err() && cx.arith("__add").is_err());
        cx.insert(9);
        cx.remove(9);
        cx.replace(9);
        cx.pop(9);
        cx.ret_int(cx.height() as i64)
    });
    assert_eq!(run(&machine, "return results(1, 2)"), "1 2");
    assert_eq!(
        run(&machine, "return pcall(tails)"),
        "false attempt to call a nil value"
    );
    assert_eq!(run(&machine, "return calls()"), "0");
}

#[test]
fn roots_of_another_machine_are_nil() {
    let (one, other) = (machine(), machine());
    let root: Root = one.with(|cx| {
        cx.push_bytes(b"kept by the host, longer than what is interned");
        cx.root_top()
    });
    other.with(|cx| {
        cx.push_root(&root);
        assert!(cx.at(0).is_nil());
    });
    drop(one);
    drop(root);
}

#[test]
fn state_of_the_host_stays_where_it_is() {
    #[derive(Default)]
    struct First(u32);
    #[derive(Default)]
    struct Second(Vec<u8>);
    let machine = machine();
    machine.with(|cx| {
        let first = cx.host_state::<First>();
        first.borrow_mut().0 = 7;
        cx.host_state::<Second>().borrow_mut().0.push(1);
        let held = first.borrow();
        cx.host_state::<Second>().borrow_mut().0.push(2);
        cx.push_bytes(b"a");
        assert_eq!((held.0, cx.host_state::<Second>().borrow().0.len()), (7, 2));
    });
}

#[test]
fn safe_point_hooks_see_the_program() {
    let machine = machine();
    let seen = Rc::new(RefCell::new(0));
    let count = Rc::clone(&seen);
    machine.set_safe_point_hook(Some(Box::new(move |cx| {
        *count.borrow_mut() += 1;
        cx.push_bytes(b"from the hook");
        if *count.borrow() == 3 {
            let _ = cx.gc_collect();
        }
    })));
    assert_eq!(
        run(
            &machine,
            "local n = 0 for i = 1, 9 do n = n + i end return n"
        ),
        "45"
    );
    assert!(*seen.borrow() >= 9);
}
