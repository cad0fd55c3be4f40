//! Conversion between Lua numbers and text.
#![forbid(unsafe_code)]
