//! Devices that outlive a daemon, for the next one that wants the same.
//!
//! A finished pair carries the signature of its plan as alias (`IFLA_IFALIAS`) on both ends. Where a start finds
//! it under the names it wants, it keeps the pair: making one anew takes the kernel tens of milliseconds, and
//! the host would lose what goes by its interface.

use std::fmt::Debug;

use rtnetlink::LinkUnspec;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};

use super::link::{VethSpec, is_ours};
use super::{Devices, VethPair};
use crate::kernel::decode::link_facts;
use crate::kernel::error::KernelError;

/// What a pair was made by: equal for equal plans of one version of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(String);

impl Signature {
    pub(super) fn of(plan: &impl Debug) -> Self {
        let plan = format!("{} {plan:?}", env!("CARGO_PKG_VERSION"));
        Self(format!("vrouterd {:08x}", crc32fast::hash(plan.as_bytes())))
    }

    /// Whether a device carries it.
    pub(super) fn is_on(&self, message: &LinkMessage) -> bool {
        message
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, LinkAttribute::IfAlias(alias) if *alias == self.0))
    }
}

impl Devices {
    /// The pair that an earlier daemon has finished by the same plan.
    pub(super) async fn kept(
        &self,
        spec: &VethSpec<'_>,
        signature: &Signature,
    ) -> Result<Option<VethPair>, KernelError> {
        for name in [spec.near, spec.far] {
            let found = self.find_message(name).await?;
            let is_kept =
                |message| signature.is_on(message) && link_facts(message).is_some_and(|link| is_ours(&link));
            if !found.as_ref().is_some_and(is_kept) {
                return Ok(None);
            }
        }
        Ok(Some(VethPair { near: self.device(spec.near).await?, far: self.device(spec.far).await? }))
    }

    /// Marks a pair as finished.
    pub(super) async fn sign(&self, pair: &VethPair, signature: &Signature) -> Result<(), KernelError> {
        for device in [&pair.near, &pair.far] {
            let alias = LinkAttribute::IfAlias(signature.0.clone());
            let message = LinkUnspec::new_with_index(device.index.0).append_extra_attribute(alias).build();
            self.set(message, &format!("set the alias of {}", device.name)).await?;
        }
        Ok(())
    }
}
