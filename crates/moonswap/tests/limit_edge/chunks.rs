//! Binary chunks made for the purpose: few bytes that become much memory.

use std::sync::Arc;

use moonswap::Lua;
use moonswap_bytecode::dump::dump;
use moonswap_bytecode::{Constant, FunctionId, PathStep, Prototype};

use super::{LIMIT, is_memory, reset_peak, status};

fn compiled(source: &str) -> Prototype {
    let prototype = moonswap_compiler::compile("=c", source.as_bytes()).expect("it compiles");
    Prototype::clone(&prototype)
}

/// So many functions inside so many others.
fn nested(depth: usize, n: u32) -> Prototype {
    let mut main = compiled("f = function() end");
    let one = Prototype::clone(&main.children[0]);
    let at = |i, children: Vec<Arc<Prototype>>| {
        let id = FunctionId::new("=c".into(), [(PathStep::Anonymous, i)]);
        let children = children.into();
        let one = one.clone();
        Arc::new(Prototype {
            id,
            children,
            ..one
        })
    };
    let mut children: Vec<_> = (0..n).map(|i| at(i, Vec::new())).collect();
    for _ in 0..depth {
        children = vec![at(0, children)];
    }
    main.children = children.into();
    main
}

fn with_constants(constants: impl Iterator<Item = Constant>) -> Prototype {
    let mut main = compiled("return 1");
    main.constants = constants.collect();
    main
}

/// Each is refused for want of memory, of which no more is taken than there may be; the
/// VM works as before.
pub(crate) fn hostile_chunks_take_no_more_than_there_is() {
    let text = |i: u32| Constant::String(format!("{i}").as_bytes().into());
    let long = |i: u32| Constant::String(format!("{i:60}").as_bytes().into());
    let chunks = [
        ("nils", with_constants((0..500_000).map(|_| Constant::Nil))),
        ("texts", with_constants((0..80_000).map(text))),
        ("long", with_constants((0..40_000).map(long))),
        ("deep", nested(200, 20_000)),
        ("wide", nested(0, 20_000)),
    ];
    for (what, main) in chunks {
        let bytes = dump(&main, true);
        drop(main);
        let lua = Lua::new();
        lua.set_memory_limit(LIMIT).expect("limited");
        let account = lua.machine().system_memory();
        let resident = reset_peak();
        let loaded = lua.load(&bytes[..]).into_function();
        let grown = status("VmHWM:").saturating_sub(resident);
        println!(
            "{what}: {} KiB, grew by {} KiB",
            bytes.len() >> 10,
            grown >> 10
        );
        let error = loaded.map(|_| ()).expect_err(what);
        assert!(is_memory(&error), "{what}: {error}");
        let most = LIMIT + LIMIT / 20 + (1 << 20);
        assert!(
            account + grown <= most,
            "{what}: grew by {grown} from {account}"
        );
        lua.gc_collect().expect("no finalizers");
        let small = dump(&compiled("return function() return 7 end"), false);
        let again: moonswap::Function = lua.load(&small[..]).eval().expect("there is room");
        assert_eq!(again.call::<i64>(()).expect("it runs"), 7, "{what}");
    }
}
