//! Periods in which no patch may come, because the program compares what it has
//! in memory.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use moonswap::Lua;
use moonswap_vm::{Context, Outcome, Root};

/// How long a patch that is under way is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between the program and the thread that patches it.
#[derive(Default)]
pub(crate) struct Gate {
    is_closed: AtomicBool,
    /// A patch is on its way.
    is_used: AtomicBool,
}

impl Gate {
    /// Does `work`, a patch, or nothing if the gate is closed.
    pub(crate) fn pass<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.is_used.store(true, SeqCst);
        let done = (!self.is_closed.load(SeqCst)).then(work);
        self.is_used.store(false, SeqCst);
        done
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// Closes it, and lets what is under way through first.
    fn close(&self, cx: &mut Context<'_>) {
        self.is_closed.store(true, SeqCst);
        let start = Instant::now();
        while self.is_used.load(SeqCst) && start.elapsed() < PATIENCE {
            cx.hot_poll();
            std::thread::yield_now();
        }
    }
}

/// Lines of a file.
struct Lines {
    file: String,
    from: u32,
    to: u32,
}

/// `FILE:FROM-TO`
fn lines_of(range: &str) -> Option<Lines> {
    let (file, lines) = range.split_once(':')?;
    let (from, to) = lines.split_once('-')?;
    Some(Lines {
        file: file.to_owned(),
        from: from.parse().ok()?,
        to: to.parse().ok()?,
    })
}

/// File and line out of `FILE:LINE: `.
fn place(text: &[u8]) -> Option<(&str, u32)> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix(": ")?;
    let (file, line) = text.rsplit_once(':')?;
    Some((file, line.parse().ok()?))
}

/// Makes `collectgarbage` close and open the gate, by where it is called.
pub(crate) fn hold(lua: &Lua, gate: &Arc<Gate>, ranges: &str) {
    let read = |range| lines_of(range).unwrap_or_else(|| panic!("no range: {range}"));
    let ranges: Vec<Lines> = ranges.split_whitespace().map(read).collect();
    let gate = Arc::clone(gate);
    // The range that closed it; one from line 0 does so at once.
    let closed_by = Cell::new(ranges.iter().position(|r| r.from == 0));
    gate.is_closed.store(closed_by.get().is_some(), SeqCst);
    lua.machine().with(|cx| {
        cx.push_globals();
        let globals = cx.height() - 1;
        cx.push(cx.raw_get_field(globals, "collectgarbage"));
        // Never dropped: it may go only outside the VM, and the native goes inside.
        let original: &'static Root = Box::leak(Box::new(cx.root_top()));
        let native = move |cx: &mut Context<'_>| -> Outcome<usize> {
            let at = cx.where_(1);
            if let Some((file, line)) = place(&at) {
                let is_in = |r: &Lines| r.file == file && (r.from..=r.to).contains(&line);
                let is_behind = |i: usize| ranges[i].file == file && line > ranges[i].to;
                if let Some(i) = ranges.iter().position(is_in) {
                    closed_by.set(Some(i));
                    gate.close(cx);
                } else if let Some(i) = closed_by.get()
                    && is_behind(i)
                {
                    closed_by.set(None);
                    gate.is_closed.store(false, SeqCst);
                    if i + 1 == ranges.len() {
                        // What asks for its name later is to find the real one.
                        cx.push_globals();
                        cx.push_root(original);
                        let globals = cx.height() - 2;
                        cx.raw_set_field(globals, "collectgarbage")?;
                        cx.pop(1);
                    }
                }
            }
            let n = cx.height();
            cx.push_root(original);
            cx.insert(0);
            cx.tail_call(n, false)
        };
        cx.push_boxed("collectgarbage", Box::new(native));
        assert!(cx.raw_set_field(globals, "collectgarbage").is_ok());
        cx.set_height(globals);
    });
}
