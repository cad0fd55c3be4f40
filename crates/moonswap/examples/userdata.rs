//! Host objects: by hand, by derive, shared, lent.
//!
//! `cargo run -p moonswap --example userdata --features macros`

use std::cell::RefCell;
use std::rc::Rc;

use moonswap::prelude::*;
use moonswap::{Result, UserData, chunk, userdata_impl};

/// Fields and methods by hand.
struct Account {
    cents: i64,
}

impl UserData for Account {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("cents", |_, this| Ok(this.cents));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("deposit", |_, this, cents: i64| {
            if cents <= 0 {
                return Err(Error::runtime("nothing to deposit"));
            }
            this.cents += cents;
            Ok(())
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("{}.{:02}", this.cents / 100, this.cents % 100))
        });
    }
}

/// Fields and methods by derive.
#[derive(Clone, Debug, UserData)]
struct Vector {
    x: f64,
    y: f64,
}

#[userdata_impl]
impl Vector {
    #[lua(infallible)]
    fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    #[lua(infallible)]
    fn length(&self) -> f64 {
        self.x.hypot(self.y)
    }

    #[lua(meta, infallible, name = "__add")]
    fn add(&self, other: &Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

/// Runs the scripts; answers what they found.
pub(crate) fn run() -> Result<(String, f64, i64, usize)> {
    let lua = Lua::new();

    // Lua owns it.
    lua.globals().set("account", Account { cents: 1_050 })?;
    let text: String = lua
        .load("account:deposit(250) return tostring(account)")
        .eval()?;

    // The type itself, with what needs no object.
    let vectors = lua.create_proxy::<Vector>()?;
    let length: f64 = lua
        .load(chunk! {
            local sum = $vectors.new(1, 2) + $vectors.new(2, 2)
            sum.x = sum.x + 0
            return sum:length()
        })
        .eval()?;

    // Host and Lua share it.
    let shared = Rc::new(RefCell::new(Account { cents: 0 }));
    lua.globals().set("shared", shared.clone())?;
    lua.load("shared:deposit(5)").exec()?;
    shared.borrow_mut().cents *= 2;
    let cents = lua.load("shared.cents").eval()?;

    // Lent for as long as the scope: Lua cannot keep it.
    let mut words = Vec::new();
    lua.scope(|scope| {
        let note = scope.create_function_mut(|_, word: String| {
            words.push(word);
            Ok(())
        })?;
        lua.load("local note = ... note('a') note('b')")
            .call::<()>(note)
    })?;
    Ok((text, length, cents, words.len()))
}

#[allow(dead_code)]
fn main() -> Result<()> {
    println!("{:?}", run()?);
    Ok(())
}
