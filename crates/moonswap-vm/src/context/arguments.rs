//! Arguments and their errors.
//!
//! Invariants: CX1–CX3 (`context`).

use std::any::Any;

use super::{Context, FunctionRef, Outcome, Str, TableRef, View};
use crate::debug;
use crate::error::Raised;
use crate::frame::Frame;
use crate::meta;
use crate::object::StringObject;
use crate::value::{Value, store, tag};

impl Context<'_> {
    /// Number of arguments: the stack's height as long as nothing was pushed.
    pub fn n_args(&self) -> usize {
        self.height()
    }

    /// Argument or pushed value; `Nil` beyond the end (`has` tells none from nil).
    #[inline]
    pub fn at(&self, i: usize) -> View<'_> {
        View::of(self.value(i))
    }

    /// Whether there is a value at `i`, be it nil.
    pub fn has(&self, i: usize) -> bool {
        i < self.height()
    }

    /// An integer argument (integral floats and numeric strings convert).
    #[inline]
    pub fn check_int(&self, i: usize) -> Outcome<i64> {
        let v = self.value(i);
        if v.tag == tag::INTEGER {
            return Ok(v.as_i64());
        }
        self.check_int_slow(i, v)
    }

    fn check_int_slow(&self, i: usize, v: Value) -> Outcome<i64> {
        if let Some(n) = View::of(v).to_integer() {
            return Ok(n);
        }
        if meta::to_number(v).is_some() {
            return Err(self.arg_error(i, "number has no integer representation"));
        }
        Err(self.type_error(i, "number"))
    }

    /// A number argument as a float.
    #[inline]
    pub fn check_num(&self, i: usize) -> Outcome<f64> {
        let v = self.value(i);
        if v.tag == tag::FLOAT {
            return Ok(v.as_f64());
        }
        View::of(v)
            .to_number()
            .ok_or_else(|| self.type_error(i, "number"))
    }

    /// A number argument with its subtype.
    pub fn check_number(&self, i: usize) -> Outcome<View<'_>> {
        meta::to_number(self.value(i))
            .map(View::of)
            .ok_or_else(|| self.type_error(i, "number"))
    }

    /// A string argument; a number is converted in place.
    #[inline]
    pub fn check_str(&self, i: usize) -> Outcome<Str<'_>> {
        let v = self.value(i);
        if v.tag == tag::STRING {
            return Ok(Str::new(v.as_string()));
        }
        self.check_str_slow(i, v)
    }

    fn check_str_slow(&self, i: usize, v: Value) -> Outcome<Str<'_>> {
        if !matches!(v.tag, tag::INTEGER | tag::FLOAT) {
            return Err(self.type_error(i, "string"));
        }
        let mut buffer = moonswap_number::NumberBuffer::new();
        let text = self.vm().string_value(meta::number_text(v, &mut buffer));
        // SAFETY: i is below the height: the value was there.
        unsafe { store(self.slot(i), text) };
        Ok(Str::new(text.as_string()))
    }

    /// A table argument.
    #[inline]
    pub fn check_table(&self, i: usize) -> Outcome<TableRef<'_>> {
        let v = self.value(i);
        if v.tag == tag::TABLE {
            return Ok(TableRef::new(v.as_table()));
        }
        Err(self.type_error(i, "table"))
    }

    /// Any argument, nil included: "value expected".
    pub fn check_any(&self, i: usize) -> Outcome<()> {
        if self.has(i) {
            Ok(())
        } else {
            Err(self.arg_error(i, "value expected"))
        }
    }

    /// A function argument.
    pub fn check_function(&self, i: usize) -> Outcome<FunctionRef<'_>> {
        match self.at(i) {
            View::Function(f) => Ok(f),
            _ => Err(self.type_error(i, "function")),
        }
    }

    /// An integer, `default` for none or nil.
    pub fn opt_int(&self, i: usize, default: i64) -> Outcome<i64> {
        if self.value(i).is_nil() {
            Ok(default)
        } else {
            self.check_int(i)
        }
    }

    /// A float, `default` for none or nil.
    pub fn opt_num(&self, i: usize, default: f64) -> Outcome<f64> {
        if self.value(i).is_nil() {
            Ok(default)
        } else {
            self.check_num(i)
        }
    }

    /// A string, if not none or nil.
    pub fn opt_str(&self, i: usize) -> Outcome<Option<Str<'_>>> {
        if self.value(i).is_nil() {
            Ok(None)
        } else {
            self.check_str(i).map(Some)
        }
    }

    /// Index of the argument among `options`: "invalid option 'x'".
    pub fn check_option(
        &self,
        i: usize,
        default: Option<&str>,
        options: &[&str],
    ) -> Outcome<usize> {
        let given = match default {
            Some(text) if self.value(i).is_nil() => text.as_bytes(),
            _ => self.check_str(i)?.as_bytes(),
        };
        match options.iter().position(|o| o.as_bytes() == given) {
            Some(found) => Ok(found),
            None => {
                let mut message = self.copy_of(b"invalid option '")?;
                self.grow_buffer(&mut message, given.len() + 1)?;
                message.extend_from_slice(given);
                message.push(b'\'');
                Err(self.arg_error(i, message.take()))
            }
        }
    }

    /// A userdata argument with host data of type `T`; `name` is for the message.
    pub fn check_userdata<T: Any>(&self, i: usize, name: &str) -> Outcome<&T> {
        if let View::UserData(u) = self.at(i)
            && let Some(data) = u.downcast::<T>()
        {
            return Ok(data);
        }
        Err(self.type_error(i, name))
    }

    /// Message with the position of the calling Lua function.
    pub fn error(&self, message: impl AsRef<[u8]>) -> Raised {
        self.error_at(1, message)
    }

    /// The message after the position of the function at `level` (1 = the caller).
    pub fn error_at(&self, level: usize, message: impl AsRef<[u8]>) -> Raised {
        // SAFETY: CX1.
        unsafe { self.vm().raise_at_level(level, message.as_ref()) }
    }

    /// The message alone, without position.
    pub fn error_plain(&self, message: impl AsRef<[u8]>) -> Raised {
        self.vm().raise_message(message)
    }

    /// The same, for embedders.
    pub fn raise_bytes(&self, message: &[u8]) -> Raised {
        self.vm().raise_message(message)
    }

    /// Raises the value on top of the stack.
    pub fn raise_top(&self) -> Raised {
        let value = self.below_top(1);
        self.vm().raise(value)
    }

    /// "bad argument #1 to 'name' (message)"; knows methods.
    pub fn arg_error(&self, i: usize, message: impl AsRef<[u8]>) -> Raised {
        let vm = self.vm();
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        // SAFETY: CX1: the native's frame is the topmost one.
        let (kind, name) =
            unsafe { debug::names::function_name(&vm, frame) }.unwrap_or(("", b"?".to_vec()));
        let name = if name == b"?" || kind.is_empty() {
            // SAFETY: as above.
            let global = unsafe { debug::traceback::global_name(&vm, frame.function()) };
            global.unwrap_or(name)
        } else {
            name
        };
        let mut position = i + 1;
        let mut text = Vec::new();
        if kind == "method" {
            position -= 1;
            if position == 0 {
                text.extend_from_slice(b"calling '");
                text.extend_from_slice(&name);
                text.extend_from_slice(b"' on bad self (");
                text.extend_from_slice(message.as_ref());
                text.push(b')');
                return self.error(text);
            }
        }
        text.extend_from_slice(format!("bad argument #{position} to '").as_bytes());
        text.extend_from_slice(&name);
        text.extend_from_slice(b"' (");
        text.extend_from_slice(message.as_ref());
        text.push(b')');
        self.error(text)
    }

    /// "… (expected expected, got actual)".
    pub fn type_error(&self, i: usize, expected: &str) -> Raised {
        let actual = if self.has(i) {
            let value = self.value(i);
            meta::type_name(&self.vm(), value)
        } else {
            b"no value".to_vec()
        };
        self.arg_error(
            i,
            [expected.as_bytes(), b" expected, got ", &actual].concat(),
        )
    }

    /// "chunk:line: " of the function at `level` (1 = the caller), or "".
    pub fn where_(&self, level: usize) -> Vec<u8> {
        // SAFETY: CX1.
        unsafe { debug::position::at_level(&self.vm(), level).to_vec() }
    }

    /// Pushes the pending error's value (for natives that catch).
    pub fn push_error(&self, _: Raised) {
        let error = std::mem::replace(&mut self.vm().error, Value::NIL);
        self.vm().in_flight = Default::default();
        self.push_value(error);
    }

    /// Bytes of a string value on the stack, if it is one.
    pub fn bytes_at(&self, i: usize) -> Option<&[u8]> {
        let v = self.value(i);
        if v.tag == tag::STRING {
            // SAFETY: CX2.
            Some(unsafe { StringObject::bytes(v.as_string()) })
        } else {
            None
        }
    }
}
