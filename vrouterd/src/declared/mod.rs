//! What programs have declared through the API: resources by name, beside those of the operator's file.
//!
//! [`Declared`] is a value; a [`Change`] makes another one of it. `text` writes it as TOML in the grammar of the
//! file, so that one reader judges both; `json` is how programs speak it; `store` keeps it over a restart.

mod change;
mod file;
mod json;
mod judge;
mod key;
mod resource;
mod salvage;
mod store;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::Table;

pub use change::{Change, ChangeError, Effect};
pub use file::{FileResource, FileResources};
pub use json::{Refused, document, resource, resource_json, whole_json};
pub use judge::Unfit;
pub use key::{Key, Kind};
pub use salvage::{Salvaged, salvage};
pub use store::{Store, StoreError};
pub use text::Fields;

use resource::Resource;

/// All declared resources. The keys of a table are those of the file's sections, its name among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared(BTreeMap<Key, Arc<Resource>>);

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
        self.0.get(key).map(|resource| &resource.table)
    }

    fn resources(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Resource>)> {
        self.0.iter().filter(move |(key, _)| key.kind == kind)
    }

    /// Those of one kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Table)> {
        self.resources(kind).map(|(key, resource)| (key, &resource.table))
    }

    /// All of them, by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Table)> {
        self.0.iter().map(|(key, resource)| (key, &resource.table))
    }

    /// Adds a resource; says whether there was one of the name.
    pub fn insert(&mut self, key: Key, table: Table) -> bool {
        let resource = Arc::new(Resource::new(key.kind, table));
        self.0.insert(key, resource).is_some()
    }

    /// Takes a resource out; says whether it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        self.0.remove(key).is_some()
    }

    /// The resources of which `other` says something else, or nothing.
    pub fn unlike<'d>(&'d self, other: &'d Self) -> impl Iterator<Item = &'d Key> {
        let same = move |key: &Key, resource: &Arc<Resource>| {
            other.0.get(key).is_some_and(|known| Arc::ptr_eq(known, resource) || known == resource)
        };
        self.0.iter().filter(move |(key, resource)| !same(key, resource)).map(|(key, _)| key)
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
