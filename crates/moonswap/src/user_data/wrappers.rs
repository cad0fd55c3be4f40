//! Userdata in shared pointers and locks: `Rc<T>`, `Rc<RefCell<T>>`, `Arc<T>`,
//! `Arc<Mutex<T>>`, `Arc<RwLock<T>>` have the methods of `T`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock};

#[cfg(feature = "userdata-wrappers")]
use parking_lot::{Mutex as PlMutex, RwLock as PlRwLock};

use crate::user_data::registry::{Method, UserDataRegistry};
use crate::{Error, UserData};

/// The wrapper has the methods of what it wraps.
macro_rules! wrapped {
    ($(($($wrapper:tt)*) |$it:ident| $read:expr, |$it2:ident| $write:expr, $variant:ident;)*) => { $(
        impl<T: UserData + 'static> UserData for $($wrapper)* {
            fn register(registry: &mut UserDataRegistry<Self>) {
                registry.adopt::<T>(
                    |method| {
                        Method::Ref(Box::new(move |lua, $it, arguments| {
                            let value = $read.ok_or(Error::UserDataBorrowError)?;
                            method(lua, &value, arguments)
                        }))
                    },
                    |method| {
                        Method::$variant(Box::new(move |lua, $it2, arguments| {
                            #[allow(unused_mut)]
                            let mut value = $write.ok_or(Error::UserDataBorrowMutError)?;
                            method(lua, &mut *value, arguments)
                        }))
                    },
                );
            }
        }
    )* };
}
wrapped! {
    (Rc<T>) |it| Some(&**it), |it| Rc::get_mut(it), Mut;
    (Arc<T>) |it| Some(&**it), |it| Arc::get_mut(it), Mut;
    (Rc<RefCell<T>>) |it| it.try_borrow().ok(), |it| it.try_borrow_mut().ok(), Ref;
    (Arc<Mutex<T>>) |it| it.try_lock().ok(), |it| it.try_lock().ok(), Ref;
    (Arc<RwLock<T>>) |it| it.try_read().ok(), |it| it.try_write().ok(), Ref;
}
#[cfg(feature = "userdata-wrappers")]
wrapped! {
    (Arc<PlMutex<T>>) |it| it.try_lock(), |it| it.try_lock(), Ref;
    (Arc<PlRwLock<T>>) |it| it.try_read(), |it| it.try_write(), Ref;
}
