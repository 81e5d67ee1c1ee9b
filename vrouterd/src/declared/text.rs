//! A document as TOML, and back.

use toml::Table;

use super::{Declared, Key, Kind};
use crate::config::{self, DOCUMENT_VERSION};

const HEADER: &str =
    "# State declared through the API. Written by vrouterd: changes made here while it runs are lost.\n";

impl Declared {
    /// As TOML, which [`config::parse_all`] reads.
    pub fn to_toml(&self) -> String {
        let mut text = format!("{HEADER}version = {DOCUMENT_VERSION}\n");
        self.0.values().for_each(|resource| text.push_str(&resource.text));
        text
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
}

/// Where the paths of the reader, such as `vif[1].label`, lead in a document that [`Declared::to_toml`] has written.
#[derive(Debug)]
pub struct Fields<'d>([Vec<&'d Key>; Kind::ALL.len()]);

impl<'d> Fields<'d> {
    /// Those of a document.
    pub fn of(declared: &'d Declared) -> Self {
        Self(Kind::ALL.map(|kind| declared.of(kind).map(|(key, _)| key).collect()))
    }

    /// The resource in which a path lies, with the rest of the path.
    pub fn resource<'p>(&self, path: &'p str) -> Option<(&'d Key, &'p str)> {
        let (section, rest) = path.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let keys = Kind::ALL.iter().zip(&self.0).find(|(kind, _)| kind.section() == section)?.1;
        let key = keys.get(index.parse::<usize>().ok()?)?;
        Some((key, rest.strip_prefix('.').unwrap_or(rest)))
    }

    /// A path in the words of the API: `vif[1].label` as `vifs/client/label`.
    pub fn shown(&self, path: &str) -> String {
        match self.resource(path) {
            Some((key, "")) => key.to_string(),
            Some((key, rest)) => format!("{key}/{rest}"),
            None => path.to_owned(),
        }
    }
}
