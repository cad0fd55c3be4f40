//! A VM and its values stay on their thread; what stops and patches it does not.

use moonswap::{Function, Interrupter, Lua, Patcher, RegistryKey, Table, WeakLua};

fn send<T: Send>() {}
fn share<T: Sync>() {}

fn main() {
    send::<Interrupter>();
    share::<Interrupter>();
    send::<Patcher>();
    share::<Patcher>();
    send::<moonswap::Error>();
    share::<moonswap::Error>();
    send::<Lua>();
    share::<Lua>();
    send::<WeakLua>();
    send::<Table>();
    send::<Function>();
    send::<RegistryKey>();
}
