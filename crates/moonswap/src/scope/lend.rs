//! Lending to Lua what lives shorter than the VM: closures and references are given
//! out as values without a lifetime, and taken back before their lifetime ends.
//!
//! Invariants: LD1 a `Scope` is made by [`run`] only, which takes everything back
//! before it returns or unwinds; so `'scope` and `'env` go on until then, as those of
//! `std::thread::scope` do; LD2 what was taken back is not reached any more; LD3 it is
//! not taken back while it is in use: then the process ends, which safe code cannot
//! bring about, for whoever uses it returns before the closure of `run` does; LD4 a
//! shared reference is lent as shared only, and a unique one to one at a time.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::rc::Rc;

use crate::value::callback::{Borrowing as Function, Callback};
use crate::{AnyUserData, Error, Lua, Result};

/// Ends one loan.
type End<'e> = Box<dyn FnOnce() + 'e>;

/// Makes values that end with the scope, which [`Lua::scope`] begins.
pub struct Scope<'scope, 'env: 'scope> {
    pub(super) lua: Lua,
    /// Ends of loans, oldest first.
    ends: RefCell<Vec<End<'static>>>,
    destructors: RefCell<Vec<End<'env>>>,
    userdata: RefCell<Vec<AnyUserData>>,
    is_over: Cell<bool>,
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

impl std::fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope")
    }
}

/// Calls `f` with a scope, and ends the scope.
pub(super) fn run<'env, R>(
    lua: &Lua,
    f: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
) -> R {
    let scope = Scope {
        lua: lua.clone(),
        ends: RefCell::default(),
        destructors: RefCell::default(),
        userdata: RefCell::default(),
        is_over: Cell::new(false),
        _scope: PhantomData,
        _env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    // LD1: destructors of what is taken back may panic; the rest is taken back
    // nevertheless.
    let ended = scope.end();
    match (result, ended) {
        (Ok(result), Ok(())) => result,
        (Ok(_), Err(panic)) => resume_unwind(panic),
        (Err(panic), ended) => {
            // Only one of them can go on.
            std::mem::forget(ended);
            resume_unwind(panic)
        }
    }
}

/// Ends the process: going on would leave something lent behind (LD3).
fn in_use() -> ! {
    eprintln!("moonswap: a value that a scope lent is in use at the end of the scope");
    std::process::abort()
}

impl<'scope, 'env> Scope<'scope, 'env> {
    fn end(&self) -> std::thread::Result<()> {
        self.is_over.set(true);
        let mut outcome = Ok(());
        let mut go_on = |end: &mut dyn FnMut()| {
            match catch_unwind(AssertUnwindSafe(end)) {
                // Its destructor might panic as well, and end this loop.
                Err(later) if outcome.is_err() => std::mem::forget(later),
                ended @ Err(_) => outcome = ended,
                Ok(()) => {}
            }
        };
        // A destructor may add another one.
        loop {
            let destructors = self.destructors.take();
            if destructors.is_empty() {
                break;
            }
            for end in destructors {
                let mut end = Some(end);
                go_on(&mut || {
                    if let Some(end) = end.take() {
                        end();
                    }
                });
            }
        }
        for userdata in self.userdata.take() {
            // If memory is short its methods say that the data is gone.
            go_on(&mut || drop(userdata.forget()));
        }
        for end in self.ends.take() {
            let mut end = Some(end);
            go_on(&mut || {
                if let Some(end) = end.take() {
                    end();
                }
            });
        }
        outcome
    }

    /// That the scope goes on.
    ///
    /// # Errors
    /// [`Error::CallbackDestructed`] if not.
    pub(super) fn check(&self) -> Result<()> {
        match self.is_over.get() {
            false => Ok(()),
            true => Err(Error::CallbackDestructed),
        }
    }

    /// Runs `destructor` when the scope ends.
    pub(super) fn at_end(&self, destructor: End<'env>) {
        self.destructors.borrow_mut().push(destructor);
    }

    /// Lets Lua's side of a userdata know when the scope ends.
    pub(super) fn forget_at_end(&self, userdata: &AnyUserData) {
        self.userdata.borrow_mut().push(userdata.clone());
    }

    /// A function that calls `function` until the scope ends, and then is `gone`.
    pub(super) fn lend(&'scope self, function: Function<'scope>, gone: Error) -> Callback {
        // SAFETY: LD1, LD2: the box is dropped when the scope ends, and not called
        // later.
        let function: Function<'static> =
            unsafe { std::mem::transmute::<Function<'scope>, Function<'static>>(function) };
        let slot = Rc::new(RefCell::new(Some(function)));
        let lent = Rc::clone(&slot);
        self.ends
            .borrow_mut()
            .push(Box::new(move || match slot.try_borrow_mut() {
                Ok(mut slot) => {
                    let function = slot.take();
                    // Its destructor is the host's code.
                    drop(slot);
                    drop(function);
                }
                Err(_) => in_use(),
            }));
        Box::new(move |lua, arguments| match &*lent.borrow() {
            Some(function) => function(lua, arguments),
            None => Err(gone.clone()),
        })
    }

    /// Lends a reference.
    pub(super) fn lend_ref<T: 'static>(&'scope self, value: &'env T) -> Lent<T> {
        self.lend_pointer(NonNull::from(value), false)
    }

    /// Lends a unique reference.
    pub(super) fn lend_mut<T: 'static>(&'scope self, value: &'env mut T) -> Lent<T> {
        self.lend_pointer(NonNull::from(value), true)
    }

    fn lend_pointer<T: 'static>(&self, value: NonNull<T>, is_unique: bool) -> Lent<T> {
        let loan = Rc::new(Loan {
            value: Cell::new(Some(value)),
            state: Cell::new(0),
            is_unique,
        });
        let lent = Lent(Rc::clone(&loan));
        self.ends.borrow_mut().push(Box::new(move || {
            loan.value.set(None);
            if loan.state.get() != 0 {
                in_use();
            }
        }));
        lent
    }
}

struct Loan<T> {
    /// `None`: taken back (LD2).
    value: Cell<Option<NonNull<T>>>,
    /// Number of readers, or -1 while one writes.
    state: Cell<isize>,
    is_unique: bool,
}

/// A reference that a scope lends.
pub(crate) struct Lent<T>(Rc<Loan<T>>);

impl<T> Clone for Lent<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// Puts the number of users back.
struct Use<'l>(&'l Cell<isize>, isize);

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

impl<T> Lent<T> {
    /// Calls `f` with the reference.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let loan = &*self.0;
        let value = loan.value.get().ok_or(Error::UserDataDestructed)?;
        let readers = loan.state.get();
        if readers < 0 {
            return Err(Error::UserDataBorrowError);
        }
        loan.state.set(readers + 1);
        let _use = Use(&loan.state, readers);
        // SAFETY: LD1, LD2, LD4: nobody writes.
        Ok(f(unsafe { value.as_ref() }))
    }

    /// Calls `f` with the reference, to change what it refers to.
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        let loan = &*self.0;
        let mut value = loan.value.get().ok_or(Error::UserDataDestructed)?;
        if !loan.is_unique || loan.state.get() != 0 {
            return Err(Error::UserDataBorrowMutError);
        }
        loan.state.set(-1);
        let _use = Use(&loan.state, 0);
        // SAFETY: LD1, LD2, LD4: it is unique, and nobody else uses it.
        Ok(f(unsafe { value.as_mut() }))
    }
}
