//! What can be asked of declared state. Each change is all or nothing.

use toml::Table;

use super::{Declared, Key, Revision};

/// A change of declared state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create or replace a resource.
    Put {
        /// Its name.
        key: Key,
        /// Its keys.
        table: Table,
    },
    /// Create a resource; one that is there already must be the same.
    Create {
        /// Its name.
        key: Key,
        /// Its keys.
        table: Table,
    },
    /// Take a resource out; it must be there.
    Delete(Key),
    /// Take a resource out if it is there, whatever it says.
    Forget(Key),
    /// Take back what [`Change::Create`] made, unless somebody has changed it since.
    Withdraw {
        /// Its name.
        key: Key,
        /// Its keys.
        table: Table,
    },
    /// Put another document in the place of all that is declared.
    Replace {
        /// The document.
        document: Declared,
        /// The revision that it was made from, if the caller wants that one replaced and no other.
        seen: Option<Revision>,
    },
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// There is a new resource.
    Created,
    /// A resource, or the document, is another one now.
    Replaced,
    /// A resource is gone.
    Deleted,
    /// All is as it was.
    Unchanged,
}

/// Why a change cannot be made, whatever the resources say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is nothing of that name.
    #[error("nothing is declared as {0}")]
    Absent(Key),
    /// There is another one of that name.
    #[error("{0} is declared already, and differently")]
    Different(Key),
    /// Somebody else has changed the document.
    #[error("the declared state is at revision {is} and not at {wanted}")]
    Stale {
        /// The revision it has.
        is: Revision,
        /// The revision that was asked for.
        wanted: Revision,
    },
}

impl Change {
    /// The resource that it is about, unless that is the whole document.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Change::Put { key, .. } | Change::Create { key, .. } | Change::Withdraw { key, .. } => Some(key),
            Change::Delete(key) | Change::Forget(key) => Some(key),
            Change::Replace { .. } => None,
        }
    }

    /// What becomes of `declared`.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn apply(self, declared: &Declared) -> Result<(Declared, Effect), ChangeError> {
        let mut next = declared.clone();
        let mut remove = |key: &Key| if next.remove(key) { Effect::Deleted } else { Effect::Unchanged };
        let effect = match self {
            Change::Create { key, table } if declared.get(&key).is_some_and(|old| *old != table) => {
                return Err(ChangeError::Different(key));
            }
            Change::Put { key, table } | Change::Create { key, table } => match declared.get(&key) {
                Some(old) if *old == table => Effect::Unchanged,
                _ if next.insert(key, table) => Effect::Replaced,
                _ => Effect::Created,
            },
            Change::Delete(key) => match remove(&key) {
                Effect::Unchanged => return Err(ChangeError::Absent(key)),
                effect => effect,
            },
            Change::Forget(key) => remove(&key),
            Change::Withdraw { key, table } if declared.get(&key) == Some(&table) => remove(&key),
            Change::Withdraw { .. } => Effect::Unchanged,
            Change::Replace { document, seen } => {
                let is = declared.revision();
                match seen {
                    Some(wanted) if wanted != is => return Err(ChangeError::Stale { is, wanted }),
                    _ if document == *declared => Effect::Unchanged,
                    _ => {
                        next = document;
                        Effect::Replaced
                    }
                }
            }
        };
        Ok((next, effect))
    }
}
