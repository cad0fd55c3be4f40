//! Runs one Lua file on the bare VM with all libraries, for stress runs of the VM
//! itself: `MOONSWAP_STRESS=gc,stack,verify/64 cargo run --example runlua -- FILE [args]`.
use moonswap_vm::{Keep, Machine, View};
fn main() {
    let m = Machine::new();
    let args: Vec<String> = std::env::args().collect();
    let src = std::fs::read(&args[1]).unwrap();
    let ok = m.with(|cx| {
        moonswap_stdlib::open_all(cx).map_err(|_| "open").unwrap();
        cx.push_globals();
        cx.push_table(0, 0);
        for (i, a) in args[1..].iter().enumerate() {
            let t = cx.height() - 1;
            cx.push_bytes(a.as_bytes());
            cx.raw_set_int(t, i as i64).unwrap();
        }
        cx.raw_set_field(0, "arg").unwrap();
        let name = format!("@{}", args[1]);
        if !cx.load(&src, name.as_bytes(), "t", Keep::Module).unwrap() {
            let h = cx.height();
            if let View::String(s) = cx.at(h - 1) {
                eprintln!("{}", String::from_utf8_lossy(s.as_bytes()));
            }
            return false;
        }
        for a in &args[2..] {
            cx.push_bytes(a.as_bytes());
        }
        match cx.pcall(args.len() - 2, Some(0)) {
            Ok(Ok(_)) => true,
            _ => {
                let h = cx.height();
                let _ = cx.push_tostring(h - 1);
                if let View::String(s) = cx.at(h) {
                    eprintln!("lua: {}", String::from_utf8_lossy(s.as_bytes()));
                }
                false
            }
        }
    });
    m.with(|cx| {
        cx.push_globals();
        let i = cx.height() - 1;
        cx.index_field(i, "io").ok();
        let i = cx.height() - 1;
        cx.index_field(i, "stdout").ok();
        let i = cx.height() - 1;
        cx.index_field(i, "flush").ok();
        cx.push_at(i);
        let _ = cx.pcall(1, Some(0));
    });
    if !ok {
        std::process::exit(1)
    }
}
