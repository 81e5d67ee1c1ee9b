//! Aligned columns for a terminal.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

const HEADING: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// Heading of a column and the side to which it is aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// For words.
    Left(&'static str),
    /// For numbers.
    Right(&'static str),
    /// For words that say whether something is well: what is not stands out on a terminal.
    State(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Left(heading) | Column::Right(heading) | Column::State(heading) => heading,
        }
    }

    fn style(self, cell: &str) -> Style {
        let is = |words: &[&str]| words.iter().any(|word| cell.starts_with(word));
        match self {
            Column::State(_) if is(&["down", "failed", "no "]) => BAD,
            Column::State(_) if is(&["terminating", "draining", "not_ready", "unresolved", "unknown"]) => {
                DOUBTFUL
            }
            Column::State(_) | Column::Left(_) | Column::Right(_) => Style::new(),
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
        for (number, cells) in lines().enumerate() {
            let mut line = String::new();
            for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths) {
                let gap = " ".repeat(width - cell.width());
                let style = if number == 0 { HEADING } else { column.style(cell) };
                match column {
                    Column::Left(_) | Column::State(_) => write!(line, "{}{gap}  ", styled(style, cell))?,
                    Column::Right(_) => write!(line, "{gap}{}  ", styled(style, cell))?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text in a style; where no colours are wanted they are taken out when it is written.
fn styled(style: Style, text: &str) -> String {
    if style.is_plain() || text.is_empty() { text.to_owned() } else { format!("{style}{text}{style:#}") }
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
        assert_eq!(anstream::adapter::strip_str(&table.to_string()).to_string(), expected);
    }

    #[test]
    fn what_is_not_well_stands_out() {
        let mut table = Table::new([Column::Left("A"), Column::State("S")]);
        table.row(["down".to_owned(), "up".to_owned()]);
        table.row(["up".to_owned(), "down: gone".to_owned()]);
        let expected = concat!(
            "\u{1b}[1mA\u{1b}[0m     \u{1b}[1mS\u{1b}[0m\n",
            "down  up\n",
            "up    \u{1b}[31mdown: gone\u{1b}[0m\n"
        );
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn details_align_their_values() {
        let pairs = [("a", "1".to_owned()), ("long", "2\n3".to_owned())];
        assert_eq!(details(&pairs), "a     1\nlong  2\\n3\n");
    }
}
