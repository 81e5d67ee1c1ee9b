//! Declared state on disk: one file, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Declared;

const NAME: &str = "declared.toml";
const NEXT: &str = "declared.toml.next";
/// Set-aside files that are kept; the next one takes the place of the last.
const MOST_BAD: u32 = 100;

/// Where declared state is kept.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A file of the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}: make node.state_dir a directory that the daemon may write, with room on its disk", path.display())]
pub struct StoreError {
    /// Which.
    pub path: PathBuf,
    /// The kernel's answer.
    pub source: io::Error,
}

impl Store {
    /// The store in a directory; nothing is made yet.
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The file that holds the state.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Writes `declared` so that after a crash at any moment the file holds either the old state or the new one:
    /// a new file, fsync, rename, fsync of the directory (rename(2), fsync(2)).
    ///
    /// # Errors
    /// [`StoreError`]; the old state is kept then.
    pub fn write(&self, declared: &Declared) -> Result<(), StoreError> {
        let next = self.directory.join(NEXT);
        self.make_directory()?;
        let write = || -> io::Result<()> {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(declared.to_toml().as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, self.path())?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| {
            drop(fs::remove_file(&next));
            StoreError { path: self.path(), source }
        })
    }

    /// Puts the file away under the first free name, `declared.toml.bad-1` and so on, and gives that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_aside(&self) -> Result<PathBuf, StoreError> {
        let numbered = |n: u32| self.directory.join(format!("{NAME}.bad-{n}"));
        let free =
            (1..MOST_BAD).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| numbered(MOST_BAD));
        match fs::rename(self.path(), &free) {
            Ok(()) => Ok(free),
            Err(source) => Err(StoreError { path: self.path(), source }),
        }
    }

    /// Makes the directory, for the daemon's user alone, where it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make_directory(&self) -> Result<(), StoreError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|source| StoreError { path: self.directory.clone(), source })
    }
}
