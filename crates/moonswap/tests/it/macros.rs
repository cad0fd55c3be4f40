//! The macros: derives for host objects, Lua code inside Rust.
#![cfg(feature = "macros")]

use moonswap::{AnyUserData, Error, FromLua, Lua, Result, UserData, Value, chunk, userdata_impl};

#[derive(Clone, Default, UserData)]
struct Account {
    owner: String,
    #[lua(get)]
    cents: i64,
    #[lua(name = "note")]
    comment: Option<String>,
    #[lua(set)]
    pin: u32,
    #[lua(skip)]
    hidden: u8,
    r#type: u8,
}

#[userdata_impl]
impl Account {
    const LIMIT: i64 = 1_000;
    #[lua(meta, name = "__kind")]
    const KIND: &str = "account";

    #[lua(infallible)]
    fn new(owner: String, cents: Option<i64>) -> Self {
        Self {
            owner,
            cents: cents.unwrap_or(0),
            ..Self::default()
        }
    }

    fn deposit(&mut self, cents: i64) -> Result<i64> {
        if cents > Self::LIMIT {
            return Err(Error::runtime("too much"));
        }
        self.cents += cents;
        Ok(self.cents)
    }

    #[lua(infallible)]
    fn knows(&self, pin: u32) -> bool {
        self.pin == pin && self.hidden == 0
    }

    fn transfer(&mut self, to: &mut Self, (cents, times): (i64, i64)) -> Result<()> {
        self.cents -= cents * times;
        to.cents += cents * times;
        Ok(())
    }

    #[lua(infallible)]
    #[allow(clippy::needless_lifetimes)]
    fn richer<'a>(&self, other: Option<&'a Account>) -> bool {
        other.is_none_or(|other| self.cents > other.cents)
    }

    fn close(self, lua: &Lua) -> Result<moonswap::Table> {
        lua.create_table_from([("cents", self.cents)])
    }

    #[lua(getter, infallible, name = "empty")]
    fn is_empty(&self) -> bool {
        self.cents == 0
    }

    #[lua(setter)]
    fn balance(&mut self, _: &Lua, cents: i64) -> Result<()> {
        self.cents = cents;
        Ok(())
    }

    #[lua(field)]
    fn bank() -> &'static str {
        "First"
    }

    #[lua(meta, infallible)]
    fn __tostring(&self) -> String {
        format!("{}: {}", self.owner, self.cents)
    }

    #[lua(meta, name = "__add", infallible)]
    fn sum(a: &Account, b: i64) -> i64 {
        a.cents + b
    }

    #[lua(infallible)]
    fn say(&self, lua: String, this: &str, _: Value, bytes: &[u8]) -> String {
        format!("{lua} {this} {}", bytes.len())
    }

    #[lua(skip)]
    fn generic<T: Default>() -> T {
        T::default()
    }

    #[cfg(any())]
    fn never(&self) -> Missing {}
}

mod elsewhere {
    #[moonswap::userdata_impl]
    impl super::Account {
        #[lua(infallible)]
        fn elsewhere(&self) -> i64 {
            self.cents
        }
    }
}

/// The proxy of the type as a global.
fn world() -> Result<Lua> {
    let lua = Lua::new();
    lua.globals()
        .set("Account", lua.create_proxy::<Account>()?)?;
    lua.load("ada = Account.new('Ada', 5)").exec()?;
    Ok(lua)
}

#[test]
fn fields_methods_and_constants() -> Result<()> {
    let lua = world()?;
    assert_eq!(Account::generic::<u8>(), 0);
    lua.load(
        r#"
        assert(ada.owner == "Ada" and ada.cents == 5 and ada.note == nil and ada.type == 0)
        ada.owner, ada.note, ada.pin = "Eve", "x", 7
        assert(ada.owner == "Eve" and ada.note == "x" and ada.pin == nil and ada:knows(7))
        assert(ada.hidden == nil and ada.generic == nil and ada.comment == nil)
        assert(not pcall(function() ada.cents = 1 end) and not pcall(function() ada.hidden = 1 end))
        assert(ada:deposit(10) == 15 and ada.LIMIT == 1000 and ada.bank == "First")
        local bob = Account.new("Bob")
        assert(bob.empty and bob:richer() and not bob:richer(ada))
        ada:transfer(bob, 2, 3)
        assert(ada.cents == 9 and bob:elsewhere() == 6)
        bob.balance = 100
        assert(tostring(bob) == "Bob: 100" and bob + 1 == 101)
        assert(debug.getmetatable(bob).__kind == "account")
        assert(bob:say("l", "t", nil, "abc") == "l t 3")
        assert(bob:close().cents == 100 and not pcall(function() return bob:elsewhere() end))
    "#,
    )
    .exec()
}

#[test]
fn errors_say_which_argument() -> Result<()> {
    let lua = world()?;
    for (text, what) in [
        ("ada:deposit(2000)", "too much"),
        ("ada:deposit('x')", "error converting Lua string to i64"),
        ("ada.deposit(1)", "bad argument `self` to `Account.deposit`"),
        ("ada:transfer(ada, 1, 1)", "borrow"),
        ("ada:richer(1)", "expected userdata of type 'Account'"),
    ] {
        let error = lua.load(text).exec().expect_err(text).to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, FromLua)]
struct Pair<T>(T, T);
impl<T: Copy> UserData for Pair<T> {}

#[test]
fn derived_from_lua() -> Result<()> {
    let lua = Lua::new();
    let swap = lua.create_function(|_, Pair(a, b): Pair<i32>| Ok(Pair(b, a)))?;
    assert_eq!(swap.call::<Pair<i32>>(Pair(1, 2))?, Pair(2, 1));
    let error = swap.call::<Pair<i32>>(1).expect_err("no pair").to_string();
    assert!(
        error.contains("error converting Lua integer to Pair"),
        "{error}"
    );
    assert!(swap.call::<Pair<i32>>(Pair(1_u8, 2)).is_err());
    Ok(())
}

#[test]
fn chunks_use_variables_of_rust() -> Result<()> {
    let lua = Lua::new();
    let (n, text, table) = (20, String::from("é"), lua.create_table()?);
    let data = AnyUserData::wrap(5_u8);
    let borrowed = text.as_str();
    let sum: i64 = lua
        .load(chunk! {
            local function twice(x) return x * 2 end
            $table.x = $n; $table[1] = [[long]] .. "a\tb"
            seen = $borrowed
            assert(type($data) == "userdata" and #$table == 1 and n == $n)
            return twice($n) + $n // a comment of Rust
        })
        .eval()?;
    assert_eq!(sum, 60);
    assert_eq!(lua.globals().get::<String>("seen")?, "é");
    let plain: i64 = lua.load(chunk!(return 1 + 1)).eval()?;
    assert_eq!(plain, 2);
    let error = lua
        .load(chunk! {
            local x = 1
            -- two
            error("here")
        })
        .exec()
        .expect_err("an error");
    assert!(error.to_string().contains(":3: here"), "{error}");
    Ok(())
}

/// Inside another macro the tokens have places of their own.
#[test]
fn chunks_inside_macros() -> Result<()> {
    macro_rules! evaluates {
        ($lua:expr, $($code:tt)*) => {
            $lua.load(chunk!($($code)*)).eval::<i64>()
        };
    }
    let lua = Lua::new();
    assert_eq!(evaluates!(lua, return 1 + 2)?, 3);
    assert_eq!(
        evaluates!(lua,
            local x = 1 -- a comment
            return x)?,
        1
    );
    Ok(())
}
