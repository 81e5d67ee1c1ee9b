//! Headers as checked views over bytes, and the buffer a packet lives in.
//!
//! The parsers here are on the packet path: they read each field once, never index out of
//! bounds, and say with a [`crate::drop::DropReason`] what is wrong. etherparse is their oracle
//! in the tests.

mod buffer;
mod bytes;
pub(crate) mod crc32c;
pub mod ethernet;
pub mod ip;
pub mod l4;

pub use buffer::Packet;
pub(crate) use bytes::{array_at, u16_at, u32_at, write_at};
