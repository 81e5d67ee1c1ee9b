//! Flow pairs: the two directions of a flow, what is done to the packets of each, and the table that all workers
//! share.
//!
//! ```text
//!   key --hash--> 2 buckets of 7 entries {tag, pair, direction} --> pair {keys, actions, deltas | activity}
//!                 64 bytes each, one lock each                      192 bytes, one sequence lock
//! ```
//!
//! * A packet of a known flow: [`FlowTable::hash`], [`FlowTable::lookup`], [`FlowTable::touch`]. No lock is taken.
//!   For a batch: [`FlowTable::prefetch`] for all, [`FlowTable::begin`] for all, [`FlowTable::prefetch_pair`] for all, then
//!   [`FlowTable::finish`], and [`FlowTable::lookup`] where that finds nothing.
//! * A packet of an unknown flow: the caller decides, then [`FlowTable::insert`].
//! * An action that rests on something that changed since ([`Dependency`]): the caller decides anew, then
//!   [`FlowTable::replace`].
//! * A control thread: [`FlowTable::sweep`]. The operator: [`FlowTable::view`], [`FlowTable::statistics`].
//! * From one process to the next: [`FlowTable::carry`], [`FlowTable::restore`].
//!
//! The crate does no I/O and reads no clock. Nothing allocates after [`FlowTable::new`], except the view.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod action;
mod activity;
mod bucket;
mod carry;
mod evict;
mod index;
mod insert;
mod key;
mod origin;
mod owners;
mod pair;
mod remove;
mod rewrite;
mod scratch;
mod slots;
mod statistics;
mod sweep;
mod sync;
mod table;
mod tcp;
mod timeout;
mod view;

#[cfg(test)]
mod fixtures;
#[cfg(all(test, feature = "loom"))]
mod loom_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod race_tests;

pub use action::{Action, Dependency, Output, Source, Ttl};
pub use carry::{Carried, Progress, Trace};
pub use index::FlowHash;
pub use insert::{InsertError, NewPair};
pub use key::{Addr, Context, Direction, Family, FlowKey, Tuple};
pub use pair::Half;
pub use rewrite::{Rewrite, RewriteKind};
pub use statistics::TableStatistics;
pub use sweep::Swept;
pub use table::{FlowTable, Hit, MAX_PAIRS, PairRef, Search, TableConfig};
pub use tcp::Segment;
pub use timeout::{FlowState, Millis, PortTimeout, TimeoutError, Timeouts};
pub use view::{DirectionView, FlowView};
