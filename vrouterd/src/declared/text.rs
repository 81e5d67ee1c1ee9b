//! A document as TOML, and back.

use toml::{Table, Value};

use super::{Declared, Key, Kind};
use crate::config::{self, DOCUMENT_VERSION};

const HEADER: &str =
    "# State declared through the API. Written by vrouterd: changes made here while it runs are lost.\n";

impl Declared {
    /// As TOML, which [`config::parse_all`] reads.
    pub fn to_toml(&self) -> String {
        let mut root = Table::new();
        root.insert("version".to_owned(), Value::Integer(DOCUMENT_VERSION.into()));
        for kind in Kind::ALL {
            let tables: Vec<Value> = self.of(kind).map(|(_, table)| Value::Table(table.clone())).collect();
            if !tables.is_empty() {
                root.insert(kind.section().to_owned(), Value::Array(tables));
            }
        }
        format!("{HEADER}{root}")
    }

    /// The resources of a TOML document of our version that have names; none of other texts. Of two with one name
    /// the last one is kept. Whether they are sound is for the reader to say.
    pub fn from_toml(text: &str) -> Self {
        let mut declared = Self::default();
        let version = text.parse::<Table>().ok().and_then(|table| table.get("version")?.as_integer());
        if version != Some(DOCUMENT_VERSION.into()) {
            return declared;
        }
        for kind in Kind::ALL {
            for found in config::inventory(text, kind.section()) {
                if let Ok(key) = Key::of(kind, &found.table) {
                    declared.insert(key, found.table);
                }
            }
        }
        declared
    }

    /// The resource in which a path of the reader, such as `vif[1].label`, lies, with the rest of the path.
    pub fn resource_at<'p>(&self, path: &'p str) -> Option<(&Key, &'p str)> {
        let (section, rest) = path.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.section() == section)?;
        let (key, _) = self.of(kind).nth(index.parse().ok()?)?;
        Some((key, rest.strip_prefix('.').unwrap_or(rest)))
    }
}

/// A path of the reader in the words of the API: `vif[1].label` as `vifs/client/label`.
pub fn field(declared: &Declared, path: &str) -> String {
    match declared.resource_at(path) {
        Some((key, "")) => key.to_string(),
        Some((key, rest)) => format!("{key}/{rest}"),
        None => path.to_owned(),
    }
}
