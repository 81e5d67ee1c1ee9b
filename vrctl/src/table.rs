//! Aligned columns for a terminal.

use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthStr as _;

/// Heading of a column and the side to which it is aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// For words.
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Left(heading) | Column::Right(heading) => heading,
        }
    }
}

/// Rows of `N` cells under headings.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| visible(&cell)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.columns.map(|column| column.heading().to_owned());
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let mut widths = [0; N];
        for cells in lines() {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        for cells in lines() {
            let mut line = String::new();
            for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths) {
                let gap = " ".repeat(width - cell.width());
                match column {
                    Column::Left(_) => write!(line, "{cell}{gap}  ")?,
                    Column::Right(_) => write!(line, "{gap}{cell}  ")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Names with their values, one per line.
pub(crate) fn details(pairs: &[(&str, String)]) -> String {
    let widest = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{name:widest$}  {}\n", visible(value));
    pairs.iter().map(line).collect()
}

/// Text of the daemon as a terminal may have it: control characters are written out.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_the_screen() {
        let mut table = Table::new([Column::Left("NAME"), Column::Right("N"), Column::Left("STATE")]);
        table.row(["a".to_owned(), "1".to_owned(), "up".to_owned()]);
        table.row(["網路".to_owned(), "1000".to_owned(), String::new()]);
        table.row(["e\u{301}\u{1b}[2J".to_owned(), "7".to_owned(), "é".to_owned()]);
        let expected = concat!(
            "NAME           N  STATE\n",
            "a              1  up\n",
            "網路        1000\n",
            "e\u{301}\\u{1b}[2J     7  é\n",
        );
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn details_align_their_values() {
        let pairs = [("a", "1".to_owned()), ("long", "2\n3".to_owned())];
        assert_eq!(details(&pairs), "a     1\nlong  2\\n3\n");
    }
}
