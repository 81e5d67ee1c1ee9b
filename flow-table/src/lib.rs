//! Placeholder root; filled in the next commits.
