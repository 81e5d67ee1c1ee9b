//! Network devices by index, in the network namespace of the calling thread.

use std::fmt;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::Error;

/// The kernel's index of a network device; unique within one network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(NonZeroU32);

impl IfIndex {
    /// `None` for 0, which the kernel never gives out.
    #[must_use]
    pub const fn new(index: u32) -> Option<Self> {
        match NonZeroU32::new(index) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }

    /// Looks a device up by name (netdevice(7), `SIOCGIFINDEX`).
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the thread's network namespace has none of that name.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let missing = |source| Error::NoDevice { device: name.to_owned(), source };
        let index = control_socket().and_then(|socket| netdevice::name_to_index(&socket, name));
        let index = index.map_err(|errno| missing(errno.into()))?;
        Self::new(index).ok_or_else(|| missing(std::io::ErrorKind::NotFound.into()))
    }

    /// The index as the kernel writes it.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device that existed when it was looked up; aya attaches TC programs by name, errors print it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) index: IfIndex,
    pub(crate) name: String,
}

impl Device {
    pub(crate) fn by_index(index: IfIndex) -> Result<Self, Error> {
        let name = control_socket().and_then(|socket| netdevice::index_to_name(&socket, index.get()));
        let name = name.map_err(|errno| Error::NoDevice {
            device: format!("with ifindex {index}"),
            source: errno.into(),
        })?;
        Ok(Self { index, name })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (ifindex {})", self.name, self.index)
    }
}

fn control_socket() -> rustix::io::Result<OwnedFd> {
    socket(AddressFamily::INET, SocketType::DGRAM, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_both_ways() {
        let index = IfIndex::by_name("lo").unwrap();
        assert_eq!(Device::by_index(index).unwrap().name, "lo");
    }

    #[test]
    fn a_missing_device_is_named() {
        let by_name = IfIndex::by_name("vxb-none").unwrap_err().to_string();
        assert!(by_name.contains("vxb-none"), "{by_name}");
        let by_index = Device::by_index(IfIndex::new(0x7fff_fff0).unwrap()).unwrap_err().to_string();
        assert!(by_index.contains("2147483632"), "{by_index}");
    }
}
