//! The vrouter node daemon as a library: `main.rs` only parses the command line.
//!
//! * [`config`] reads and judges the file, [`kernel`] knows the machine, [`daemon`] folds both into
//!   the desired state that `dataplane` compiles, and [`engine`] runs the workers.
//! * [`state`] is what of it all can be looked at, [`history`] its last ten minutes, [`view`] how it looks (`source` fills the views),
//!   [`http`] who serves it.

pub mod api;
pub mod capture;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod declared;
pub mod engine;
pub mod history;
pub mod http;
pub mod journal;
pub mod kernel;
pub mod log;
pub mod preflight;
mod source;
pub mod state;
pub mod traces;
pub mod view;
