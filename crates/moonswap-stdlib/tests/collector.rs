//! The collector goes on by itself whatever the program does.

use moonswap_vm::{Machine, View};

fn count(program: &str) -> Vec<f64> {
    let machine = Machine::new();
    machine.with(|cx| {
        assert!(moonswap_stdlib::open_all(cx).is_ok());
        cx.set_height(0);
        assert!(matches!(
            cx.load(program.as_bytes(), b"=program", "t", false),
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
