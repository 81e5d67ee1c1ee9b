//! The resources of a document as they are written: name, line and keys.

use toml::de::DeTable;
use toml::{Spanned, Table, Value};

use super::place::Lines;

/// A resource of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// Its keys.
    pub table: Table,
}

/// Every `[[section]]` table of a document, in its order; nothing when the text is no TOML.
pub fn inventory(text: &str, section: &str) -> Vec<Found> {
    let (Ok(spanned), Ok(mut plain)) = (DeTable::parse(text), text.parse::<Table>()) else {
        return Vec::new();
    };
    let spans = spanned.get_ref().get(section).and_then(|value| value.get_ref().as_array());
    let tables = match plain.remove(section) {
        Some(Value::Array(tables)) => tables,
        _ => Vec::new(),
    };
    let lines = Lines::new(text);
    let line = |value: &Spanned<_>| lines.position(value.span().start).0;
    let spans: Vec<usize> = spans.into_iter().flat_map(|array| array.iter().map(line)).collect();
    let found = spans.into_iter().zip(tables);
    found
        .filter_map(|(line, value)| match value {
            Value::Table(table) => Some(Found { line, table }),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_with_their_lines_and_keys() {
        let text = "x = 1\n[[vrf]]\nname = \"blue\"\n\n[[vrf]]\nname = \"green\"\nlabel = 100\n";
        let found = inventory(text, "vrf");
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(found[1].table.get("label"), Some(&Value::Integer(100)));
        assert_eq!(inventory(text, "vif"), []);
        assert_eq!(inventory("x = [", "vrf"), []);
        assert_eq!(inventory("vrf = 3", "vrf"), []);
    }
}
