//! What programs have declared through the API: resources by name, beside those of the operator's file.
//!
//! [`Declared`] is a value; a [`Change`] makes another one of it. `text` writes it as TOML in the grammar of the
//! file, so that one reader judges both; `json` is how programs speak it; `store` keeps it over a restart.

mod change;
mod file;
mod json;
mod key;
mod salvage;
mod store;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use toml::Table;

pub use change::{Change, ChangeError, Effect};
pub use file::{FileResource, FileResources};
pub use json::{Refused, document, resource, resource_json, whole_json};
pub use key::{Key, Kind};
pub use salvage::{Salvaged, salvage};
pub use store::{Store, StoreError};
pub use text::Fields;

/// All declared resources. The keys of a table are those of the file's sections, its name among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared(BTreeMap<Key, Table>);

/// Which state of a document somebody has seen; an HTTP entity tag without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(pub String);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Declared {
    /// A resource.
    pub fn get(&self, key: &Key) -> Option<&Table> {
        self.0.get(key)
    }

    /// Those of one kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Table)> {
        self.0.iter().filter(move |(key, _)| key.kind == kind)
    }

    /// All of them, by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Table)> {
        self.0.iter()
    }

    /// Adds a resource, and gives back the one that had the name.
    pub fn insert(&mut self, key: Key, table: Table) -> Option<Table> {
        self.0.insert(key, table)
    }

    /// Takes a resource out.
    pub fn remove(&mut self, key: &Key) -> Option<Table> {
        self.0.remove(key)
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same for the same resources, also after a restart (FNV-1a of the text).
    pub fn revision(&self) -> Revision {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        Revision(format!("{:016x}", self.to_toml().bytes().fold(OFFSET_BASIS, step)))
    }
}
