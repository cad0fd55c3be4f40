//! The collector goes on by itself whatever the program does.

use moonswap_vm::{Keep, Machine, View};

fn count(program: &str) -> Vec<f64> {
    let machine = Machine::new();
    machine.with(|cx| {
        assert!(moonswap_stdlib::open_all(cx).is_ok());
        cx.set_height(0);
        assert!(matches!(
            cx.load(program.as_bytes(), b"=program", "t", Keep::Captured),
            Ok(true)
        ));
        assert!(cx.call(0, None).is_ok());
        (0..cx.height())
            .map(|i| match cx.at(i) {
                View::Float(f) => f,
                other => panic!("{other:?}"),
            })
            .collect()
    })
}

/// A table that grows gives its old part back between the request of a step and
/// the safe point; later requests must not be lost with that one.
#[test]
fn growing_tables_do_not_stop_the_collector() {
    let counts = count(
        "local t = {}
         for i = 1, 100000 do t['k' .. i] = {} end
         local before = collectgarbage('count')
         for i = 1, 1000000 do local u = { i } end
         return before, collectgarbage('count')",
    );
    assert!(counts[1] < 4.0 * counts[0], "{counts:?}");
}

/// The stack that deep recursion needed goes back at a collection.
#[test]
fn stacks_shrink() {
    let m = Machine::new();
    m.with(moonswap_stdlib::open_all).expect("libraries");
    let run = |text: &str| {
        m.with(|cx| {
            assert!(
                cx.load(text.as_bytes(), b"=test", "t", Keep::Captured)
                    .expect("load")
            );
            assert!(matches!(cx.pcall(0, Some(0)), Ok(Ok(_))), "{text}");
        });
    };
    run("collectgarbage()");
    let before = m.system_memory();
    run("local x, captured = 1
        local function f() return 1 + f() end
        assert(not pcall(f))
        captured = function() x = x + 1 return x end
        collectgarbage()
        assert(captured() == 2 and x == 2)");
    let after = m.system_memory();
    assert!(after < before + (1 << 20), "{before} {after}");
    // also where only steps are taken
    run("local function f() return 1 + f() end
        assert(not pcall(f))
        for i = 1, 3e5 do local t = {i} end");
    let after = m.system_memory();
    assert!(after < before + (12 << 20), "{before} {after}");
}
