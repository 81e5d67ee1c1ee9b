//! Packets to send, and a packet socket (packet(7)) that sees them arrive.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// "Local Experimental Ethertype 1" (IEEE 802): nothing else in the namespace sends it.
pub(crate) const TYPE: u16 = 0x88b5;

/// An Ethernet frame that can be told from any other by its number; its length depends on the number, too.
pub(crate) fn test_packet(number: u32) -> Vec<u8> {
    let mut packet = vec![0xff; 6];
    packet.extend([0x02, 0, 0, 0, 0, 1]);
    packet.extend(TYPE.to_be_bytes());
    packet.extend(number.to_be_bytes());
    packet.resize(60 + (number as usize * 37) % 1400, number as u8);
    packet
}

pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Sees packets of one ethertype that arrive on the device. A read waits two seconds at most.
    pub(crate) fn open(ifindex: u32, ethertype: u16) -> Self {
        let protocol = ethertype.to_be();
        // SAFETY: plain system call.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(raw >= 0, "socket(AF_PACKET): {}", std::io::Error::last_os_error());
        // SAFETY: the descriptor was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        set(&fd, libc::SO_RCVTIMEO, &libc::timeval { tv_sec: 2, tv_usec: 0 });
        // The default holds fewer packets than a tx ring.
        set(&fd, libc::SO_RCVBUFFORCE, &(4i32 << 20));
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol,
            sll_ifindex: ifindex as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: address is live and its size is given with it.
        let result = unsafe {
            libc::bind(raw, (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
        };
        assert_eq!(result, 0, "bind(AF_PACKET): {}", std::io::Error::last_os_error());
        Self(fd)
    }

    /// The next packet.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut packet = vec![0; 4096];
        // SAFETY: packet is live and its length is given with it.
        let len = unsafe { libc::recv(self.0.as_raw_fd(), packet.as_mut_ptr().cast(), packet.len(), 0) };
        let error = std::io::Error::last_os_error();
        packet.truncate(usize::try_from(len).unwrap_or_else(|_| panic!("no packet arrived: {error}")));
        packet
    }
}

fn set<T>(fd: &OwnedFd, option: libc::c_int, value: &T) {
    // SAFETY: value is live and its size is given with it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "setsockopt({option}): {}", std::io::Error::last_os_error());
}
