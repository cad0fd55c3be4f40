//! Runs a Lua file with the standard libraries: `run_script FILE [ARGS]`.

use moonswap_vm::context::View;
use moonswap_vm::{Machine, Outcome};

fn main() {
    let machine = Machine::new();
    let file = std::env::args().nth(1).expect("a file");
    let source = std::fs::read(&file).expect("readable");
    let failed = machine.with(|cx| -> Outcome<bool> {
        moonswap_stdlib::open_all(cx)?;
        cx.set_height(0);
        let source: Vec<u8> = if source.starts_with(b"#") {
            [b"--".as_slice(), &source].concat()
        } else {
            source
        };
        let name = format!("@{file}");
        let mut bad = !cx.load(&source, name.as_bytes(), "bt", true)?;
        if !bad {
            bad = cx.pcall(0, Some(0))?.is_err();
        }
        if bad {
            let top = cx.height() - 1;
            cx.push_tostring(top)?;
            if let View::String(s) = cx.at(top + 1) {
                eprintln!("lua: {}", String::from_utf8_lossy(s.as_bytes()));
            }
        }
        moonswap_stdlib::flush_all(cx);
        Ok(bad)
    });
    if !matches!(failed, Ok(false)) {
        std::process::exit(1);
    }
}
