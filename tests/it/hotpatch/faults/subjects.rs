//! What is patched while things go wrong: for each kind of step a text that has
//! it. Delta code here does nothing but what patches promise to undo.

use std::time::Duration;

use moonswap_vm::planning::{Captures, Patch, Policy, RunSelector, StalePolicy, SuspendedPolicy};

use crate::hotpatch::world::World;

/// A chunk before and after.
pub(super) struct Texts {
    pub(super) chunk: &'static str,
    pub(super) old: String,
    pub(super) new: String,
    pub(super) instances: usize,
}

/// One patch.
pub(super) struct Subject {
    pub(super) name: &'static str,
    setup: &'static str,
    pub(super) texts: Vec<Texts>,
    pub(super) policy: Policy,
    /// An expression that calls every function and changes nothing.
    probe: &'static str,
    pub(super) old: &'static str,
    pub(super) new: &'static str,
    /// Lua code runs after the commit as well; what is true if it came to its
    /// end.
    pub(super) behind: Option<&'static str>,
}

impl Subject {
    fn of(name: &'static str, old: &str, new: &str) -> Subject {
        Subject {
            name,
            setup: "",
            texts: vec![texts("@m.lua", old, new)],
            policy: Policy::default(),
            probe: "",
            old: "",
            new: "",
            behind: None,
        }
    }

    fn probe(mut self, probe: &'static str, old: &'static str, new: &'static str) -> Subject {
        (self.probe, self.old, self.new) = (probe, old, new);
        self
    }

    fn setup(mut self, setup: &'static str) -> Subject {
        self.setup = setup;
        self
    }

    fn policy(mut self, change: impl FnOnce(Policy) -> Policy) -> Subject {
        self.policy = change(self.policy);
        self
    }

    fn with(mut self, chunk: &'static str, old: &str, new: &str) -> Subject {
        self.texts.push(texts(chunk, old, new));
        self
    }

    fn behind(mut self, check: &'static str) -> Subject {
        self.behind = Some(check);
        self
    }

    /// Makes what the patch is to find.
    pub(super) fn set_up(&self, world: &World) {
        world.run(self.setup).expect(self.name);
    }

    /// A world in which the old texts run.
    pub(super) fn world(&self) -> World {
        let world = World::new();
        for Texts {
            chunk,
            old,
            instances,
            ..
        } in &self.texts
        {
            for _ in 0..*instances {
                world.load(chunk, old, true).expect(self.name);
            }
        }
        self.set_up(&world);
        world
    }

    fn compile(&self, text: impl Fn(&Texts) -> String) -> Patch {
        let patches = self
            .texts
            .iter()
            .map(|t| Patch::compile(t.chunk, text(t).as_bytes()).expect(self.name));
        Patch::transaction(patches).expect(self.name)
    }

    pub(super) fn patch(&self) -> Patch {
        self.compile(|t| t.new.clone())
    }

    /// Nothing but another function.
    pub(super) fn step(&self) -> Patch {
        self.compile(|t| format!("{}\nfunction step() end\n", t.old))
    }

    /// What the functions answer.
    pub(super) fn ask(&self, world: &World) -> Result<String, String> {
        let script = format!(
            "local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end return table.concat(t, ' ') end return all({})",
            self.probe
        );
        world.run(&script)
    }
}

fn texts(chunk: &'static str, old: &str, new: &str) -> Texts {
    Texts {
        chunk,
        old: old.to_owned(),
        new: new.to_owned(),
        instances: 1,
    }
}

pub(super) fn all() -> Vec<Subject> {
    let mut instances = Subject::of(
        "several instances",
        "local all = ALL or {} ALL = all local n = #all + 1
        all[n] = { get = function() return n end }",
        "local all = ALL or {} ALL = all local n = #all + 1
        local extra = { n * 100, fault() }
        all[n] = { get = function() return n + extra[1] end }",
    )
    .probe(
        "ALL[1].get(), ALL[2].get(), ALL[3].get()",
        "1 2 3",
        "101 202 303",
    );
    instances.texts[0].instances = 3;
    vec![
        swapped(),
        Subject::of(
            "initialisers",
            "local n = 1 function f() return n end",
            "local n = 1
            local a = { n, { n }, fault() }
            local b, c = #a, (function() fault() return tostring(n) .. 'x' end)()
            local function d(x) return x + b end
            local e <const> = ('e'):rep(5000)
            fault()
            local g = setmetatable({}, { __index = function(_, k) return k end, fault() })
            function f() return n, a[2][1], b, c, d(1), #e, g.k end",
        )
        .policy(|p| p.run(RunSelector::Text("fault()".into())))
        .probe("f()", "1", "1 1 2 1x 3 5000 k"),
        Subject::of(
            "definitions",
            "M = { inner = {} } function M.f() return 1 end",
            "M = { inner = {} } function M.f() return 2 end
            function M.g() return 3 end
            function M:h() return self == M end
            M.inner.deep = function() return 4 end
            function global() return 5 end
            for _, name in ipairs {} do M[name] = 1 end
            M.inner['k' .. 1] = 1",
        )
        .probe(
            "M.f(), M.g and M.g(), M.h and M:h(), M.inner.deep and M.inner.deep(), global and global()",
            "1 nil nil nil nil",
            "2 3 true 4 5",
        ),
        Subject::of(
            "configuration, reset and run",
            "local MAX = 10 local NAME = 'old' local n = { 1 } log = {} function f() return MAX, NAME, n[1], #log end",
            "local MAX = 20 local NAME = 'new' local n = { fault() or 2 } log = {} fault() function f() return MAX, NAME, n[1], #log end",
        )
        .policy(|p| p.reset("n").run(RunSelector::Text("fault()".into())))
        .probe("f()", "10 old 1 0", "20 new 2 0"),
        late(),
        Subject::of(
            "removed and renamed",
            "M = {} function M.a() return 1 end function M.b() return 2 end function M.c() return 3 end function gone() end",
            "M = {} function M.a2() return 10 end function M.c() return 30 end local x = fault()",
        )
        .policy(|p| p.remove(true).rename("M.a", "M.a2"))
        .probe("M.a(), M.b and M.b(), M.c(), gone ~= nil", "1 2 3 true", "10 nil 30 false"),
        Subject::of(
            "hooks",
            "local kept = { 1 } function f() return kept[1] end function seen() return 0 end",
            "local kept = { 1 } local moved = {} local swaps = 0
            function f() return moved[1], kept[1] end
            function seen() return swaps end
            function migrate(old)
              for i = 1, 3 do fault() moved[i] = { old, i } end
              moved[1] = old > 0 and 'moved'
            end
            function on_swap() swaps = 1 fault() end",
        )
        .with(
            "@other.lua",
            "local x = 1 function g() return x end",
            "local x, y = 1, fault() function g() return x, y end
            function migrate(old) y = old > 0 fault() end",
        )
        .behind("seen() == 1")
        .probe("f(), g()", "1 1", "moved 1 true"),
        Subject::of(
            "transaction",
            "function a() return 1 end",
            "local t = { fault() } function a() return 2 end function a2() return #t end",
        )
        .with("@b.lua", "function b() return 1 end", "local t = { fault() } function b() return 2 end")
        .with("@c.lua", "function c() return 1 end", "local t = { fault() } function c() return 2, #t end")
        .probe("a(), b(), c()", "1 1 1", "2 2 2 0"),
        instances,
        Subject::of(
            "moving",
            "function work() local n = 0 while true do coroutine.yield('old') n = n + 1 end end",
            "local names = { 'new', fault() }
            function work() local n = 0 while true do coroutine.yield(names[1]) n = n + 1 end end",
        )
        .setup("co = coroutine.create(work) coroutine.resume(co)")
        .policy(|p| p.stale(StalePolicy::Migrate))
        .probe("coroutine.wrap(work)(), coroutine.status(co)", "old suspended", "new suspended"),
        Subject::of(
            "guarded",
            "function f() return 1 end",
            "local t = { fault() } function f() return 2, #t end",
        )
        .policy(|p| p.guard(3, Duration::from_secs(1000)).signed_off("ann", "why not"))
        .probe("f()", "1", "2 0"),
        closing(),
    ]
}

fn swapped() -> Subject {
    let text = |version: &str| {
        let long = version.repeat(2000);
        let mut text = String::from("local n = 7 local M = {} mod = M\n");
        for i in 0..12 {
            text.push_str(&format!(
                "function M.f{i}(a) local t = {{ '{version}{i}', '{version} of {i}', a, n }} return t[1] .. #'{long}{i}', function() return t end end\n"
            ));
        }
        text
    };
    Subject::of("swapped", &text("old"), &text("longer")).probe(
        "(mod.f0(1)), (mod.f11(2)), #mod.f5(3)",
        "old06001 old116002 8",
        "longer012001 longer1112002 12",
    )
}

fn late() -> Subject {
    Subject::of(
        "backfilled variables",
        "function make(volume) local n = 1 return function() return n end end",
        "local x = fault() function make(volume) local n = 1 return function() return n, volume end end",
    )
    .setup("old = make(5)")
    .policy(|p| p.captures(Captures::Nil))
    .probe("old(), make(6)()", "1 1", "1 1 6")
}

/// A coroutine that is closed after the commit.
fn closing() -> Subject {
    Subject::of(
        "closing",
        "closed = closed or 0 function work() local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end }) coroutine.yield() end
        function f() return 1 end",
        "closed = closed or 0 local x = fault() function work() coroutine.yield(1) end
        function f() return 2 end",
    )
    .setup("co = coroutine.create(work) coroutine.resume(co)")
    .policy(|p| p.suspended(SuspendedPolicy::Close))
    .behind("coroutine.status(co) == 'dead' and closed > 0")
    .probe("f()", "1", "2")
}
