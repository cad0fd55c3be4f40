//! Host objects: what Lua can do with them, who has borrowed them, when they go.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moonswap::prelude::*;
use moonswap::{Result, UserDataOwned, UserDataRegistry};

/// Counts its drops.
struct Counted(Rc<Cell<usize>>, i64);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl UserData for Counted {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("n", |_, this| Ok(this.1));
        fields.add_field_method_set("n", |_, this, n| {
            this.1 = n;
            Ok(())
        });
        fields.add_field("kind", "counted");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |_, this, ()| Ok(this.1));
        methods.add_method_mut("add", |_, this, n: i64| {
            this.1 += n;
            Ok(this.1)
        });
        methods.add_method("call", |_, this, f: Function| {
            f.call::<()>(())?;
            Ok(this.1)
        });
        methods.add_method_mut("call_mut", |_, this, f: Function| {
            f.call::<()>(())?;
            Ok(this.1)
        });
        methods.add_method_once("end", |_, this, ()| Ok(this.1));
        methods.add_method("boom", |_, _, ()| -> Result<()> { panic!("boom") });
        methods.add_meta_method(MetaMethod::Add, |_, this, n: i64| Ok(this.1 + n));
        methods.add_meta_method(MetaMethod::Index, |_, _, key: String| {
            Ok(format!("no {key}"))
        });
    }
}

fn counted() -> (Rc<Cell<usize>>, Counted) {
    let drops = Rc::new(Cell::new(0));
    (Rc::clone(&drops), Counted(drops, 5))
}

#[test]
fn fields_methods_and_metamethods() -> Result<()> {
    let lua = Lua::new();
    let (drops, data) = counted();
    lua.globals().set("c", data)?;
    lua.load(
        "assert(c.n == 5 and c.kind == 'counted' and c:get() == 5 and c:add(2) == 7)
         c.n = 1
         assert(c + 10 == 11 and c.other == 'no other')
         assert(not pcall(function() c.kind = 1 end))
         assert(tostring(c):match('^Counted: 0x') and getmetatable(c) == false)",
    )
    .exec()?;
    assert_eq!(lua.load("return c['end'](c)").eval::<i64>()?, 1);
    assert_eq!(drops.get(), 1);
    for gone in ["c.n", "c:get()", "c + 1", "tostring(c)"] {
        let error = lua.load(format!("return {gone}")).exec().expect_err(gone);
        let Error::CallbackError { cause, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(
            matches!(&**cause, Error::UserDataDestructed),
            "{gone}: {cause:?}"
        );
    }
    Ok(())
}

#[test]
fn borrows_exclude_each_other() -> Result<()> {
    let lua = Lua::new();
    let (drops, data) = counted();
    let c = lua.create_userdata(data)?;
    lua.globals().set("c", &c)?;
    // While a method reads, others read; while one writes, none does.
    assert_eq!(lua.load("c:call(function() c:get() end)").eval::<i64>()?, 5);
    for (way, wanted) in [
        ("c:call(function() c:add(1) end)", "error mutably borrowing"),
        ("c:call_mut(function() c:get() end)", "error borrowing"),
        (
            "c:call_mut(function() c:add(1) end)",
            "error mutably borrowing",
        ),
    ] {
        let error = lua.load(way).exec().expect_err(way);
        assert!(error.to_string().contains(wanted), "{way}: {error}");
    }
    // A panic gives back what it had borrowed.
    lua.catch_panics(true);
    assert!(lua.load("c:boom()").exec().is_err());
    assert!(c.borrow_mut::<Counted>().is_ok());
    let read = c.borrow::<Counted>()?;
    assert!(matches!(
        c.take::<Counted>(),
        Err(Error::UserDataBorrowMutError)
    ));
    assert!(matches!(
        c.borrow_mut::<Counted>(),
        Err(Error::UserDataBorrowMutError)
    ));
    // A guard keeps the data, also when the VM goes.
    c.destroy()?;
    assert_eq!(drops.get(), 0);
    drop(lua);
    assert_eq!(read.1, 5);
    drop(read);
    assert_eq!(drops.get(), 1);
    Ok(())
}

#[test]
fn arguments_say_what_is_wrong() -> Result<()> {
    let lua = Lua::new();
    let (_, data) = counted();
    lua.globals().set("c", data)?;
    for (way, wanted) in [
        (
            "c.get(1)",
            "bad argument `self` to `Counted.get`: error converting Lua number to userdata (expected userdata of type 'Counted')",
        ),
        (
            "c:add({})",
            "bad argument #2 to `Counted.add`: error converting Lua table to i64",
        ),
        (
            "c.get(io.stdout)",
            "bad argument `self` to `Counted.get`: userdata has data of another type",
        ),
    ] {
        let error = lua.load(way).exec().expect_err(way);
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
    Ok(())
}

#[test]
fn wrappers_have_the_methods_of_what_they_wrap() -> Result<()> {
    let lua = Lua::new();
    let (_, data) = counted();
    let shared = Rc::new(RefCell::new(data));
    lua.globals().set("c", Rc::clone(&shared))?;
    assert_eq!(
        lua.load("c:add(1) c.n = c.n * 2 return c:get()")
            .eval::<i64>()?,
        12
    );
    assert_eq!(shared.borrow().1, 12);
    let c: moonswap::AnyUserData = lua.globals().get("c")?;
    let held = shared.borrow_mut();
    assert!(matches!(
        c.borrow::<Counted>(),
        Err(Error::UserDataBorrowError)
    ));
    assert!(lua.load("c:get()").exec().is_err());
    drop(held);
    c.borrow_mut::<Counted>()?.1 = 3;
    assert_eq!(c.borrow::<Counted>()?.1, 3);
    Ok(())
}

#[test]
fn types_of_others_are_registered() -> Result<()> {
    let lua = Lua::new();
    lua.register_userdata_type(|registry: &mut UserDataRegistry<Vec<i64>>| {
        registry.add_method("sum", |_, this, ()| Ok(this.iter().sum::<i64>()));
        registry.add_meta_method(MetaMethod::Len, |_, this, ()| Ok(this.len()));
    })?;
    lua.globals()
        .set("v", lua.create_any_userdata(vec![1_i64, 2, 3])?)?;
    assert_eq!(lua.load("v:sum() + #v").eval::<i64>()?, 9);
    let taken = lua.create_function(|_, v: UserDataOwned<Vec<i64>>| Ok(v.0.len()))?;
    lua.globals().set("taken", taken)?;
    assert_eq!(lua.load("taken(v)").eval::<i64>()?, 3);
    assert!(lua.load("taken(v)").exec().is_err());
    Ok(())
}

/// Closures, userdata and application data that own values of their VM do not keep it.
#[test]
fn owners_of_handles_do_not_keep_the_vm() -> Result<()> {
    let drops = Rc::new(Cell::new(0));
    struct Owns(#[allow(dead_code)] Table, #[allow(dead_code)] Counted);
    impl UserData for Owns {}
    for _ in 0..10 {
        let lua = Lua::new();
        let table = lua.create_table()?;
        let data = || Counted(Rc::clone(&drops), 0);
        let (kept, own) = (table.clone(), data());
        let closure = lua.create_function(move |_, ()| {
            let _ = &own;
            kept.get::<Value>("closure")
        })?;
        table.set("closure", &closure)?;
        assert!(matches!(closure.call::<Value>(())?, Value::Function(f) if f == closure));
        table.set("userdata", Owns(table.clone(), data()))?;
        lua.globals().set("table", &table)?;
        lua.set_app_data((table.clone(), data()));
        let object = lua.create_userdata(data())?;
        object.set_user_value(Owns(table.clone(), data()))?;
        let key = lua.create_registry_value(Owns(table.clone(), data()))?;
        drop(lua);
        // What is left outside says so.
        assert!(matches!(table.get::<Value>("x"), Err(Error::Destroyed)));
        assert!(matches!(closure.call::<()>(()), Err(Error::Destroyed)));
        assert!(matches!(object.borrow::<Counted>(), Err(Error::Destroyed)));
        assert_eq!((table.raw_len(), closure.info().what), (0, ""));
        drop(key);
    }
    assert_eq!(drops.get(), 60);
    Ok(())
}

#[test]
fn garbage_goes_with_its_data() -> Result<()> {
    let lua = Lua::new();
    let drops = Rc::new(Cell::new(0));
    for _ in 0..100 {
        lua.create_userdata(Counted(Rc::clone(&drops), 0))?;
    }
    lua.gc_collect()?;
    lua.gc_collect()?;
    assert_eq!(drops.get(), 100);
    Ok(())
}

#[test]
fn scopes_take_back_what_they_lend() -> Result<()> {
    let lua = Lua::new();
    let mut log = Vec::new();
    let (drops, mut data) = counted();
    let text = String::from("borrowed");
    lua.scope(|scope| {
        lua.globals().set(
            "note",
            scope.create_function_mut(|_, n: i64| {
                log.push(n);
                Ok(())
            })?,
        )?;
        lua.globals()
            .set("text", scope.create_function(|_, ()| Ok(text.as_str()))?)?;
        lua.globals()
            .set("c", scope.create_userdata_ref_mut(&mut data)?)?;
        lua.load("note(1) note(2) assert(text() == 'borrowed') c.n = 9 note(c:add(1))")
            .exec()
    })?;
    assert_eq!((log, data.1, drops.get()), (vec![1, 2, 10], 10, 0));
    for way in ["note(1)", "text()", "c:get()", "c.n = 1"] {
        let error = lua.load(way).exec().expect_err(way);
        let Error::CallbackError { cause, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(
            matches!(
                &**cause,
                Error::CallbackDestructed | Error::UserDataDestructed
            ),
            "{way}: {cause:?}"
        );
    }
    // A scope that unwinds takes back as well.
    let panics = std::panic::AssertUnwindSafe(|| {
        lua.scope(|scope| -> Result<()> {
            let kept = Counted(Rc::clone(&drops), 0);
            lua.globals()
                .set("kept", scope.create_function(move |_, ()| Ok(kept.1))?)?;
            panic!("out")
        })
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(drops.get(), 1);
    assert!(lua.load("kept()").exec().is_err());
    Ok(())
}

#[test]
fn scoped_userdata_may_borrow() -> Result<()> {
    struct View<'a>(&'a mut Vec<i64>);
    impl UserData for View<'_> {
        fn register(registry: &mut UserDataRegistry<Self>) {
            registry.add_method_mut("push", |_, this, n: i64| {
                this.0.push(n);
                Ok(())
            });
            registry.add_field_method_get("len", |_, this| Ok(this.0.len()));
        }
    }
    let lua = Lua::new();
    let mut list = vec![1];
    let escaped = lua.scope(|scope| {
        let view = scope.create_userdata(View(&mut list))?;
        lua.load("local v = ... v:push(2) v:push(v.len)")
            .call::<()>(&view)?;
        Ok(view)
    })?;
    assert_eq!(list, [1, 2, 2]);
    assert!(lua.load("(...):push(1)").call::<()>(&escaped).is_err());
    assert_eq!(list, [1, 2, 2]);
    Ok(())
}

/// Ends of a scope that panic, with payloads that panic in their turn, leave nothing
/// behind that was lent.
#[test]
fn panics_at_the_end_of_a_scope_leave_nothing_lent() -> Result<()> {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload");
        }
    }
    let lua = Lua::new();
    for is_failing in [false, true] {
        let text = String::from("lent");
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lua.scope(|scope| {
                let lent = scope.create_function(|_, ()| Ok(text.as_str()))?;
                lua.globals().set("lent", lent)?;
                scope.add_destructor(|| panic!("the first"));
                scope.add_destructor(|| std::panic::panic_any(Bomb));
                assert!(!is_failing, "the body");
                Ok(())
            })
        }));
        assert!(ended.is_err());
        drop(text);
        let called = lua.load("return lent()").eval::<String>();
        let error = called.expect_err("taken back").to_string();
        assert!(error.contains("has ended"), "{error}");
    }
    Ok(())
}

#[test]
fn a_warning_function_that_panics_is_called_again() {
    let lua = Lua::new();
    let n = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = n.clone();
    lua.set_warning_function(move |_, _, _| {
        count.set(count.get() + 1);
        assert_ne!(count.get(), 1, "the first warning");
        Ok(())
    });
    for _ in 0..2 {
        let warned = std::panic::AssertUnwindSafe(|| lua.warning("text", false));
        let _ = std::panic::catch_unwind(warned);
    }
    assert_eq!(n.get(), 2);
}
