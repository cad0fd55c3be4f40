//! Cycles in steps and whole, weak tables, finalizers, host data.

use std::cell::Cell;
use std::rc::Rc;

use super::{machine, run, run_hard, sized};

#[test]
fn weak_tables_and_finalizers() {
    run_hard(
        "local keys = setmetatable({}, {__mode = 'k'})
         local values = setmetatable({}, {__mode = 'v'})
         local dead = 0
         local keep = {}
         for i = 1, 6 do
           local object = setmetatable({}, {__gc = function() dead = dead + 1 end})
           keys[object] = {object}
           values[i] = object
           if i % 2 == 0 then keep[#keep + 1] = object end
         end
         local object
         collect() collect()
         local k, v = 0, 0
         for _ in next, keys do k = k + 1 end
         for _ in next, values do v = v + 1 end
         return dead, k, v, #keep",
        "3 3 3 3",
    );
}

#[test]
fn a_cycle_in_steps_while_the_program_runs() {
    let machine = machine();
    let verify_every = sized(1, 100) as u32;
    machine.set_stress(crate::stress::Stress::always(
        false,
        false,
        false,
        verify_every,
    ));
    let n = sized(2000, 24);
    let text = run(
        &machine,
        &format!(
            "local list, cycles = nil, 0
             local weak = setmetatable({{}}, {{__mode = 'kv'}})
             for i = 1, {n} do
               list = {{list, name = 'n' .. i, f = function() return list end}}
               weak[i] = {{}}
               weak['s' .. i] = list
               if i % 16 == 0 then list = list[1][1] end
               if step() then cycles = cycles + 1 end
             end
             local long = 0
             while list do long = long + 1 list = list[1] end
             return long, cycles > 0"
        ),
    );
    assert_eq!(text, format!("{} true", n - 3 * (n / 16) + n / 16));
}

/// Data of the host whose destructor drops a root.
struct Held {
    drops: Rc<Cell<u32>>,
    _root: crate::Root,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

#[test]
fn host_data_is_dropped_once_and_may_let_roots_go() {
    let drops = Rc::new(Cell::new(0));
    let machine = machine();
    machine.with(|cx| {
        for i in 0..8 {
            cx.push_table(1, 1);
            let root = cx.root_top();
            let drops = Rc::clone(&drops);
            cx.push_userdata(Box::new(Held { drops, _root: root }));
            if i % 4 == 0 {
                cx.push_globals();
                cx.push_at(cx.height() - 2);
                let _ = cx.raw_set_field(cx.height() - 2, "kept");
            }
            cx.set_height(0);
        }
        assert!(cx.gc_collect().is_ok());
        assert_eq!(drops.get(), 7);
        // The entries of the roots that went are used again.
        cx.push_int(5);
        let root = cx.root_top();
        assert!(cx.gc_collect().is_ok());
        cx.push_root(&root);
        assert_eq!(cx.at(0).to_integer(), Some(5));
    });
    drop(machine);
    assert_eq!(drops.get(), 8);
}

#[test]
fn closing_calls_every_finalizer_once() {
    let machine = machine();
    run(
        &machine,
        "log = ''
         for i = 1, 3 do
           local t = setmetatable({i}, {__gc = function(t)
             log = log .. t[1]
             setmetatable({}, {__gc = function() log = log .. 'new' end})
           end})
           _G = {_G, t}
         end",
    );
    machine.close();
    assert_eq!(run(&machine, "return log"), "321");
}
