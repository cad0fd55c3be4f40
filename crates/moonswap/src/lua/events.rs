//! Telling the host when it makes, resumes, or gets back a coroutine.

use std::cell::{Cell, RefCell};
use std::ops::{BitOr, BitOrAssign};
use std::rc::Rc;

use crate::{Error, Lua, Result, Thread};

type Listener = Rc<dyn Fn(&Lua, ThreadEvent) -> Result<()>>;

/// Of which events a callback is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadTriggers {
    /// When the host makes a coroutine.
    pub on_create: bool,
    /// Before the host resumes one.
    pub on_resume: bool,
    /// After one has yielded to the host.
    pub on_yield: bool,
}

impl ThreadTriggers {
    /// Only [`ThreadTriggers::on_create`].
    pub const ON_CREATE: Self = Self::new().on_create();
    /// Only [`ThreadTriggers::on_resume`].
    pub const ON_RESUME: Self = Self::new().on_resume();
    /// Only [`ThreadTriggers::on_yield`].
    pub const ON_YIELD: Self = Self::new().on_yield();

    /// None.
    pub const fn new() -> Self {
        Self {
            on_create: false,
            on_resume: false,
            on_yield: false,
        }
    }

    /// Sets `on_create`.
    #[must_use]
    pub const fn on_create(mut self) -> Self {
        self.on_create = true;
        self
    }

    /// Sets `on_resume`.
    #[must_use]
    pub const fn on_resume(mut self) -> Self {
        self.on_resume = true;
        self
    }

    /// Sets `on_yield`.
    #[must_use]
    pub const fn on_yield(mut self) -> Self {
        self.on_yield = true;
        self
    }
}

impl BitOr for ThreadTriggers {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self {
            on_create: self.on_create | other.on_create,
            on_resume: self.on_resume | other.on_resume,
            on_yield: self.on_yield | other.on_yield,
        }
    }
}
impl BitOrAssign for ThreadTriggers {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// What happened to a coroutine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ThreadEvent {
    /// The host made it.
    Create(Thread),
    /// The host is about to resume it.
    Resume(Thread),
    /// It has yielded to the host.
    Yield(Thread),
}

/// Who is told.
#[derive(Default)]
pub(crate) struct Events {
    listener: RefCell<Option<(ThreadTriggers, Listener)>>,
    /// The coroutine whose event is being told.
    telling: RefCell<Option<Thread>>,
    is_telling: Cell<bool>,
}

/// Resuming a coroutine from its own event would change what is being told.
pub(crate) fn check_not_inside(lua: &Lua, thread: &Thread) -> Result<()> {
    match &*lua.0.events.telling.borrow() {
        Some(telling) if telling == thread => Err(Error::runtime(
            "cannot resume a thread from within its own event callback",
        )),
        _ => Ok(()),
    }
}

/// Tells of an event; events of the callback's own doing are not told.
pub(crate) fn tell(lua: &Lua, thread: &Thread, event: fn(Thread) -> ThreadEvent) -> Result<()> {
    let events = &lua.0.events;
    let listener = events.listener.borrow().clone();
    let Some((triggers, listener)) = listener else {
        return Ok(());
    };
    let event = event(thread.clone());
    let is_wanted = match event {
        ThreadEvent::Create(_) => triggers.on_create,
        ThreadEvent::Resume(_) => triggers.on_resume,
        ThreadEvent::Yield(_) => triggers.on_yield,
    };
    if !is_wanted || events.is_telling.replace(true) {
        return Ok(());
    }
    /// The callback may panic.
    struct End<'e>(&'e Events);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.is_telling.set(false);
            self.0.telling.replace(None);
        }
    }
    events.telling.replace(Some(thread.clone()));
    let _end = End(events);
    listener(lua, event)
}

impl Lua {
    /// Calls `callback` when the host makes a coroutine, resumes one, or gets one back.
    /// An error of it is the error of what the host did.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use moonswap::{Lua, thread::{ThreadEvent, ThreadTriggers}};
    /// let lua = Lua::new();
    /// let made = Rc::new(Cell::new(0));
    /// let count = made.clone();
    /// lua.set_thread_event_callback(ThreadTriggers::ON_CREATE, move |_, event| {
    ///     assert!(matches!(event, ThreadEvent::Create(_)));
    ///     count.set(count.get() + 1);
    ///     Ok(())
    /// });
    /// lua.create_thread(lua.load("").into_function()?)?;
    /// assert_eq!(made.get(), 1);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_thread_event_callback<F>(&self, triggers: ThreadTriggers, callback: F)
    where
        F: Fn(&Lua, ThreadEvent) -> Result<()> + 'static,
    {
        let listener: Listener = Rc::new(callback);
        let old = self.0.events.listener.replace(Some((triggers, listener)));
        drop(old);
    }

    /// Calls it no more.
    pub fn remove_thread_event_callback(&self) {
        let old = self.0.events.listener.replace(None);
        drop(old);
    }
}
