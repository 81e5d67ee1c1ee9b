//! A resource that somebody has declared, with what has been made of it.

use std::fmt::Write as _;
use std::sync::OnceLock;

use dataplane::desired::Route;
use toml::Table;

use super::Kind;

/// A resource; what is made of it is made once.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) table: Table,
    /// The table as a section of a document.
    pub(super) text: String,
    /// The route that it is, once the reader has found it sound.
    pub(super) route: OnceLock<Route>,
}

impl Resource {
    pub(super) fn new(kind: Kind, table: Table) -> Self {
        let mut text = format!("\n[[{}]]\n", kind.section());
        for (name, value) in &table {
            // Key by key: the time that the writer of toml takes for a whole document grows with its square.
            let _ = writeln!(text, "{} = {value}", bare_or_quoted(name));
        }
        Self { table, text, route: OnceLock::new() }
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.table == other.table
    }
}

/// A key: bare, or as a basic string (toml.io/en/v1.0.0, "Keys").
fn bare_or_quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) {
        return key.to_owned();
    }
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", key.chars().map(escape).collect::<String>())
}
