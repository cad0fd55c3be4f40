//! dev
use moonswap_vm::{
    Machine, View,
    planning::{Patch, Policy},
};
const V1: &str = r#"
local count = 0
local MAX = 10
local M = {}
function M.hit(x) count = count + 1 return x * 2, count end
function M.make() local n = 0 return function() n = n + 1 return n end end
function M.max() return MAX end
G = M
saved = M.hit
c1 = M.make()
"#;
const V2: &str = r#"
local count = 0
local MAX = 20
local bonus = {100}
local M = {}
function M.hit(x) count = count + 10 return x * 3 + bonus[1], count, print ~= nil end
function M.make() local n = 0 return function() n = n + 100 return n end end
function M.max() return MAX end
function M.extra() return "extra " .. count end
G = M
saved = M.hit
c1 = M.make()
"#;
fn run(m: &Machine, s: &str) {
    let s = &format!("io.stdout:setvbuf[[no]] {s}");
    m.with(|cx| {
        if !cx.load(s.as_bytes(), b"=(x)", "t", false).unwrap() {
            println!("load failed");
            return;
        }
        match cx.pcall(0, Some(0)) {
            Ok(Ok(_)) => {}
            _ => {
                let h = cx.height();
                if let View::String(s) = cx.at(h - 1) {
                    println!("err {}", String::from_utf8_lossy(s.as_bytes()));
                }
            }
        }
    })
}
fn main() {
    let m = Machine::new();
    m.with(|cx| moonswap_stdlib::open_all(cx).map_err(|_| ()).unwrap());
    m.with(|cx| {
        assert!(cx.load(V1.as_bytes(), b"@m.lua", "t", true).unwrap());
        cx.call(0, Some(0)).unwrap();
    });
    run(
        &m,
        "print(saved(1)) print(c1(), c1()) print(G.max(), G.extra)",
    );
    let p = Patch::compile("@m.lua", V2.as_bytes()).unwrap();
    m.with(|cx| println!("{}", cx.hot_plan(&p, &Policy::default()).unwrap()));
    let r = m.with(|cx| cx.hot_apply(&p, &Policy::default()));
    match r {
        Ok(r) => println!("{r}\n{}", r.to_json()),
        Err(e) => println!("ERR {e}"),
    }
    run(
        &m,
        "print(saved(1)) print(c1(), c1()) print(G.max(), G.extra and G.extra()) collectgarbage() collectgarbage() print(saved(1))",
    );
    m.with(|cx| {
        for v in cx.hot_versions(None) {
            println!("{v:?}")
        }
    });
    let r = m.with(|cx| cx.hot_rollback(None));
    println!("{:?}", r.map(|r| r.to_string()));
    run(
        &m,
        "print(saved(1)) print(c1(), c1()) print(G.max(), G.extra and G.extra()) collectgarbage() collectgarbage() print(saved(1))",
    );
    // from another thread
    let patcher = m.patcher();
    let t = std::thread::spawn(move || {
        for i in 0..20 {
            let src = if i % 2 == 0 { V2 } else { V1 };
            let r = patcher
                .submit(
                    Patch::compile("@m.lua", src.as_bytes()).unwrap(),
                    Policy::default(),
                )
                .wait(Some(std::time::Duration::from_secs(5)));
            match r {
                Ok(r) => println!(
                    "{i} {r} pause {:?} wait {:?} prep {:?}",
                    r.times.pause, r.times.wait, r.times.prepare
                ),
                Err(e) => println!("{i} ERR {e}"),
            }
        }
    });
    run(
        &m,
        "local t = os.clock() local n = 0 while os.clock() - t < 1 do n = n + 1 G.hit(1) end print('loops', n > 0)",
    );
    t.join().unwrap();
}
