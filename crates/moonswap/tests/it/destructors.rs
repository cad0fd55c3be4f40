//! Destructors of host data that Lua owns: when they run, and what they may do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moonswap::{Error, Function, Lua, Result, Table, UserData, Value, WeakLua};

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);
impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
impl<F: FnMut() + 'static> UserData for OnDrop<F> {}

/// Makes garbage in many ways, so that the collector runs wherever it can.
const CHURN: &str = "
    local t = {}
    for i = 1, 30000 do
        t[i % 100] = { i, tostring(i), function() return i end }
        if i % 1000 == 0 then coroutine.wrap(function() t[i] = i .. 'x' coroutine.yield() end)() end
    end
    return #tostring(t[1])";

#[test]
fn they_use_handles_while_lua_runs() -> Result<()> {
    let lua = Lua::new();
    let log = lua.create_table()?;
    let count: Function = lua
        .load("local t = ... return function(x) t[#t + 1] = x return #t end")
        .call(&log)?;
    for round in 0..3 {
        for i in 0..50 {
            let (log, count, weak) = (log.clone(), count.clone(), lua.weak());
            let end = move || {
                let n: i64 = count.call(i).expect("a call");
                assert_eq!(log.raw_len() as i64, n);
                let lua = weak.try_upgrade().expect("it is there");
                lua.load("local t = {} for i = 1, 50 do t[i] = {} end")
                    .exec()
                    .expect("it runs");
            };
            let data = OnDrop(end);
            // As data of a userdata, and as what a closure owns.
            match i % 3 {
                0 => drop(lua.create_userdata(data)?),
                1 => drop(lua.create_function(move |_, ()| {
                    let _ = &data;
                    Ok(())
                })?),
                _ => lua.globals().set("last", lua.create_any_userdata(data)?)?,
            }
        }
        match round {
            0 => lua.load(CHURN).exec()?,
            1 => lua
                .create_thread(lua.load(CHURN).into_function()?)?
                .resume(())?,
            _ => lua.gc_collect()?,
        }
    }
    lua.globals().set("last", Value::Nil)?;
    lua.gc_collect()?;
    assert_eq!(log.raw_len(), 150);
    Ok(())
}

#[test]
fn what_they_leave_behind_is_dropped_later() -> Result<()> {
    let lua = Lua::new();
    let drops = Rc::new(Cell::new(0));
    /// Each leaves another one, `n` times.
    struct Chain(WeakLua, Rc<Cell<u32>>, u32);
    impl Drop for Chain {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            if self.2 > 0
                && let Some(lua) = self.0.try_upgrade()
            {
                let next = Chain(self.0.clone(), self.1.clone(), self.2 - 1);
                drop(lua.create_any_userdata(next));
                lua.gc_collect().expect("a collection");
            }
        }
    }
    drop(lua.create_any_userdata(Chain(lua.weak(), drops.clone(), 5000))?);
    for _ in 0..6000 {
        lua.gc_collect()?;
    }
    assert_eq!(drops.get(), 5001);
    Ok(())
}

#[test]
fn at_the_end_of_the_vm_handles_are_errors() -> Result<()> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    {
        let lua = Lua::new();
        let table: Table = lua.create_table()?;
        let told = seen.clone();
        let data = OnDrop(move || {
            let answer = table.raw_set("x", 1);
            told.borrow_mut()
                .push(matches!(answer, Err(Error::Destroyed)));
        });
        lua.globals().set("data", lua.create_userdata(data)?)?;
    }
    assert_eq!(*seen.borrow(), [true]);
    Ok(())
}

#[test]
fn errors_in_finalizers_and_destructors_are_told() -> Result<()> {
    let lua = Lua::new();
    let told = Rc::new(RefCell::new(Vec::<String>::new()));
    let heard = told.clone();
    lua.set_warning_function(move |lua, text, _| {
        // It may use the VM.
        let n: i64 = lua.load("1 + 1").eval()?;
        assert_eq!(n, 2);
        heard.borrow_mut().push(text.to_owned());
        Ok(())
    });
    lua.load("setmetatable({}, { __gc = function() error('in vain', 0) end })")
        .exec()?;
    drop(lua.create_any_userdata(OnDrop(|| panic!("no way")))?);
    lua.gc_collect()?;
    lua.gc_collect()?;
    let told = told.borrow();
    assert!(
        told.iter()
            .any(|text| text.contains("error in __gc (in vain)")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|text| text.contains("panic: no way")),
        "{told:?}"
    );
    lua.remove_warning_function();
    lua.load("setmetatable({}, { __gc = error })").exec()?;
    lua.gc_collect()
}

#[test]
fn they_run_before_gc_collect_returns() -> Result<()> {
    let lua = Lua::new();
    let data = Rc::new(());
    for _ in 0..10 {
        drop(lua.create_any_userdata(data.clone())?);
        let held = data.clone();
        drop(lua.create_function(move |_, ()| Ok(Rc::strong_count(&held)))?);
    }
    lua.gc_collect()?;
    assert_eq!(Rc::strong_count(&data), 1);
    Ok(())
}
