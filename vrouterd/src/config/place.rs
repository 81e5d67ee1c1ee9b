//! Where in the file something is written.

use core::fmt;
use std::sync::Arc;

use super::problem::Problem;

/// Whether a text can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is a file.
    OnDisk,
    /// It is made from what programs have said.
    InMemory,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as named on the command line.
    pub file: Arc<str>,
    /// Whether somebody can look there.
    pub written: Written,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of the key, such as `vif[1].label`; empty for the whole file.
    pub key: String,
}

impl Place {
    /// How a message about something at `from` names this place: `line 9`, with the file when that is another, or
    /// as what programs have declared.
    pub(super) fn seen_from(&self, from: &Place) -> String {
        match self.written {
            Written::InMemory => "declared".to_owned(),
            Written::OnDisk if self.file == from.file => format!("line {}", self.line),
            Written::OnDisk => format!("{}:{}", self.file, self.line),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "{}: ", self.key) }
    }
}

/// A value and the place where it is written. Two are equal when their values are: moving a line
/// in the file changes nothing.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub place: Place,
}

impl<T> At<T> {
    /// A mistake at this place.
    pub fn problem(&self, what: impl fmt::Display, remedy: impl fmt::Display) -> Problem {
        Problem { place: self.place.clone(), what: what.to_string(), remedy: remedy.to_string() }
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

/// Turns byte offsets of a text into lines and columns.
#[derive(Debug)]
pub(super) struct Lines<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self { text, starts: core::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column of a byte offset, both from 1.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let lines = Lines::new("ab\n\nü = 1\n");
        let table =
            [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (3, 1)), (7, (3, 3)), (11, (4, 1)), (99, (4, 1))];
        for (offset, position) in table {
            assert_eq!(lines.position(offset), position, "offset {offset}");
        }
    }
}
