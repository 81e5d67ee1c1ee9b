//! Placeholder root; filled in the next commits.

pub mod ethtool;
