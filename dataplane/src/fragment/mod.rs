//! Fragments of a datagram on one path: the table of datagrams under way, which all workers
//! share, and the frames a worker holds until the first fragment has named the ports.

mod datagram;
mod hold;
pub(crate) mod split;
mod table;

pub(crate) use datagram::Ports;
pub use hold::Waiting;
pub(crate) use hold::{Held, Hold};
pub use split::Split;
pub(crate) use table::{DatagramKey, Later};
pub use table::{FragmentTable, LIFETIME, PER_CONTEXT};
