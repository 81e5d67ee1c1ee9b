//! Removing devices of our own, and only those.

use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkMessage;

use super::link::is_ours;
use super::{Devices, Signature};
use crate::kernel::decode::link_facts;
use crate::kernel::error::KernelError;
use crate::kernel::lock::NamespaceLock;

impl Devices {
    /// Removes every device that a daemon before us has made in this network namespace and left,
    /// under whatever name, and gives their names; but for those that carry one of the signatures, which
    /// are to be kept. The lock proves that no daemon uses them.
    ///
    /// # Errors
    /// What a request meets.
    pub async fn remove_leftovers(
        &self,
        _lock: &NamespaceLock,
        keep: &[Signature],
    ) -> Result<Vec<String>, KernelError> {
        let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.netlink.request(message, NLM_F_DUMP, "list links").await?;
        let mut removed = Vec::new();
        for answer in &answers {
            let RouteNetlinkMessage::NewLink(message) = answer else { continue };
            let Some(link) = link_facts(message).filter(is_ours) else { continue };
            if keep.iter().any(|signature| signature.is_on(message)) {
                continue;
            }
            self.delete(&link.name, link.index).await?;
            removed.push(link.name);
        }
        Ok(removed)
    }

    /// Removes a device of ours, with the other end of its pair. One that is gone is no error.
    ///
    /// # Errors
    /// [`KernelError::ForeignDevice`] when it is not ours, or what a request meets.
    pub async fn remove(&self, name: &str) -> Result<(), KernelError> {
        match self.find(name).await? {
            None => Ok(()),
            Some(link) if is_ours(&link) => self.delete(name, link.index).await,
            Some(_) => Err(KernelError::ForeignDevice { device: name.to_owned() }),
        }
    }
}
