//! Heap check for tests (filled in below).
