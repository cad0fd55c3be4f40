//! Making values.

use std::cell::RefCell;

use crate::lua::events::{self, ThreadEvent};
use crate::value::callback::{self, Callback, NativeCallback};
use crate::value::handle::Handle;
use crate::value::raise::{caught, checked};
use crate::{
    Error, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, LuaString, Result, Table, Thread,
};

/// Values of a list that one visit of the VM takes.
const AT_ONCE: usize = 256;

impl Lua {
    /// An empty table.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn create_table(&self) -> Result<Table> {
        self.create_table_with_capacity(0, 0)
    }

    /// An empty table with room for so many list items and other entries.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let list = lua.create_table_with_capacity(1000, 0)?;
    /// for i in 0..1000 {
    ///     list.raw_push(i)?;
    /// }
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_table_with_capacity(&self, items: usize, entries: usize) -> Result<Table> {
        // Nodes of tables come in powers of two.
        const ENTRY: usize = 96;
        self.attempt(|cx| {
            let size = items.saturating_add(entries).saturating_mul(ENTRY);
            // Small ones need not be asked for.
            if size > 1 << 16 {
                checked(cx, |cx| cx.make_room(size))?;
            }
            cx.push_table(items, entries);
            Ok(Table(Handle::pop(self, cx)))
        })
    }

    /// A table with the given entries.
    ///
    /// # Errors
    /// The conversions, keys that are nil or NaN, the memory limit.
    pub fn create_table_from<K: IntoLua, V: IntoLua>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Table> {
        let entries = entries.into_iter();
        // No more than this is believed of an iterator.
        let table = self.create_table_with_capacity(0, entries.size_hint().0.min(1 << 12))?;
        for (key, value) in entries {
            table.raw_set(key, value)?;
        }
        Ok(table)
    }

    /// A table with the given values at 1, 2, …
    ///
    /// # Errors
    /// The conversions, the memory limit.
    pub fn create_sequence_from<T: IntoLua>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Table> {
        let mut values = values.into_iter();
        let table = self.create_table_with_capacity(values.size_hint().0.min(1 << 12), 0)?;
        if !T::IS_DIRECT {
            for (at, value) in (1..).zip(values) {
                let value = value.into_lua(self)?;
                table.0.attempt(|lua, cx, table| {
                    value.push(lua, cx)?;
                    checked(cx, |cx| cx.raw_set_int(table, at))
                })?;
            }
            return Ok(table);
        }
        // The iterator is the host's code, so it runs outside of the VM.
        let mut next = 1;
        loop {
            let some: Vec<T> = values.by_ref().take(AT_ONCE).collect();
            let is_last = some.len() < AT_ONCE;
            table.0.attempt(|lua, cx, table| {
                for value in some {
                    value.push_direct(lua, cx)?;
                    checked(cx, |cx| cx.raw_set_int(table, next))?;
                    next += 1;
                }
                Ok(())
            })?;
            if is_last {
                return Ok(table);
            }
        }
    }

    /// A byte string.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn create_string(&self, bytes: impl AsRef<[u8]>) -> Result<LuaString> {
        self.attempt(|cx| {
            let made = cx.push_large(bytes.as_ref());
            made.map_err(|raised| caught(cx, raised))?;
            Ok(LuaString(Handle::pop(self, cx)))
        })
    }

    /// A byte string of a vector's contents.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    #[doc(hidden)]
    pub fn create_external_string(&self, bytes: impl Into<Vec<u8>>) -> Result<LuaString> {
        self.create_string(bytes.into())
    }

    /// A Lua function that runs a Rust closure. It may own values of this VM, not a
    /// [`Lua`].
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// use moonswap::{Lua, Table};
    /// let lua = Lua::new();
    /// let log = lua.create_table()?;
    /// let kept: Table = log.clone();
    /// let note = lua.create_function(move |_, text: String| kept.push(text))?;
    /// note.call::<()>("hello")?;
    /// assert_eq!(log.len()?, 1);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_function<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.create_native(callback::native(None, function))
    }

    pub(crate) fn create_native(&self, native: NativeCallback) -> Result<Function> {
        self.attempt(|cx| {
            cx.push_boxed("?", native);
            Ok(Function(Handle::pop(self, cx)))
        })
    }

    pub(crate) fn create_callback(&self, callback: Callback) -> Result<Function> {
        self.attempt(|cx| {
            callback::push_callback(cx, callback);
            Ok(Function(Handle::pop(self, cx)))
        })
    }

    /// [`Lua::create_function`] for a closure with state of its own. A call
    /// while it runs is [`Error::RecursiveMutCallback`].
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn create_function_mut<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let function = RefCell::new(function);
        self.create_function(move |lua, arguments| match function.try_borrow_mut() {
            Ok(mut function) => function(lua, arguments),
            Err(_) => Err(Error::RecursiveMutCallback),
        })
    }

    /// A coroutine that is about to run `function`.
    ///
    /// # Errors
    /// For a function of another VM, and those of a callback of thread events.
    pub fn create_thread(&self, function: Function) -> Result<Thread> {
        let thread = self.attempt(|cx| {
            function.0.push(self, cx)?;
            cx.push_coroutine();
            Ok(Thread(Handle::pop(self, cx)))
        })?;
        events::tell(self, &thread, ThreadEvent::Create)?;
        Ok(thread)
    }
}
