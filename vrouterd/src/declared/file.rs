//! The resources of the operator's file: seen through the API, changed in the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;

use super::{Key, Kind};
use crate::config;

/// A resource of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileResource {
    /// Line on which it begins.
    pub line: usize,
    /// Its keys.
    pub table: Table,
}

/// The resources of a file that have names.
#[derive(Clone, Debug, Default)]
pub struct FileResources {
    path: PathBuf,
    resources: BTreeMap<Key, FileResource>,
}

impl FileResources {
    /// Those of a file that the reader has found sound.
    pub fn of(path: &Path, text: &str) -> Self {
        let of_kind = |kind: Kind| {
            config::inventory(text, kind.section()).into_iter().filter_map(move |found| {
                let resource = FileResource { line: found.line, table: found.table };
                Some((Key::of(kind, &resource.table).ok()?, resource))
            })
        };
        let resources = Kind::ALL.into_iter().flat_map(of_kind).collect();
        Self { path: path.to_owned(), resources }
    }

    /// A resource.
    pub fn get(&self, key: &Key) -> Option<&FileResource> {
        self.resources.get(key)
    }

    /// Those of one kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &FileResource)> {
        self.resources.iter().filter(move |(key, _)| key.kind == kind)
    }

    /// Where a resource is written: `/etc/vrouter/vrouter.toml:12`.
    pub fn place(&self, resource: &FileResource) -> String {
        format!("{}:{}", self.path.display(), resource.line)
    }
}
