//! What one node says of itself, read once so that the walk sees one state of it.

use serde_json::Value;

use crate::failure::Failure;
use crate::query;
use crate::session::Session;
use crate::value::{Mismatch, cell, list};

/// One node.
#[derive(Debug)]
pub(super) struct Facts {
    /// As the command line names it, or as it names itself.
    pub(super) name: String,
    /// Where other nodes send to.
    pub(super) tunnel_address: String,
    /// All its routes.
    pub(super) routes: Value,
    vrfs: Value,
    next_hops: Value,
    labels: Value,
    vifs: Value,
}

impl Facts {
    /// Asks the node.
    ///
    /// # Errors
    /// [`Failure`]
    pub(super) fn read(session: &Session, name: Option<&str>) -> Result<Self, Failure> {
        let page = |path: &str| session.read(&query::page(path, &[]));
        let node = page("/")?;
        let of_node = |pointer: &str| session.expect("/", cell(&node, pointer));
        Ok(Self {
            name: name.map_or_else(|| of_node("/name"), |name| Ok(name.to_owned()))?,
            tunnel_address: of_node("/tunnel_address")?,
            routes: page("/routes")?,
            vrfs: page("/vrfs")?,
            next_hops: page("/nexthops")?,
            labels: page("/labels")?,
            vifs: page("/vifs")?,
        })
    }

    /// Whether the node has a VRF.
    pub(super) fn has_vrf(&self, name: &str) -> Result<bool, Mismatch> {
        Ok(find(&self.vrfs, "/name", name)?.is_some())
    }

    /// What a label means here.
    pub(super) fn label(&self, label: &str) -> Result<Option<&Value>, Mismatch> {
        find(&self.labels, "/label", label)
    }

    /// A next hop with its state.
    pub(super) fn next_hop(&self, id: &str) -> Result<Option<&Value>, Mismatch> {
        find(&self.next_hops, "/id", id)
    }

    /// A vif.
    pub(super) fn vif(&self, name: &str) -> Result<Option<&Value>, Mismatch> {
        find(&self.vifs, "/name", name)
    }
}

fn find<'v>(all: &'v Value, key: &str, value: &str) -> Result<Option<&'v Value>, Mismatch> {
    for item in list(all, "")? {
        if cell(item, key)? == value {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

#[cfg(test)]
impl Facts {
    /// A node that says all this.
    pub(super) fn of(name: &str, tunnel_address: &str, pages: [Value; 5]) -> Self {
        let [vrfs, routes, next_hops, labels, vifs] = pages;
        let (name, tunnel_address) = (name.to_owned(), tunnel_address.to_owned());
        Self { name, tunnel_address, routes, vrfs, next_hops, labels, vifs }
    }
}
