//! Waiting for sockets without allocating.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::error::Error;

/// What a descriptor was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing to do.
    Idle,
    /// There is something to receive.
    Readable,
    /// An error, a hangup or a closed descriptor (`POLLERR`, `POLLHUP`, `POLLNVAL`). It will not go away by
    /// itself: leave the descriptor out of the next wait, or that one returns at once, and the next, and so on.
    Failed,
}

/// Room for a poll of a fixed number of descriptors, made once per worker.
#[derive(Debug)]
pub struct PollSet {
    entries: Vec<libc::pollfd>,
}

impl PollSet {
    /// Room for `capacity` descriptors.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity) }
    }

    /// Waits until a descriptor can be read or has failed, at most `timeout` (rounded up to milliseconds).
    /// Returns how many; zero after a timeout or a signal. [`readiness`](Self::readiness) tells which.
    ///
    /// # Errors
    /// [`Error::PollSetFull`] for more descriptors than there is room for, [`Error::System`] if poll fails.
    pub fn wait<'a>(
        &mut self,
        descriptors: impl IntoIterator<Item = BorrowedFd<'a>>,
        timeout: Duration,
    ) -> Result<usize, Error> {
        self.entries.clear();
        for fd in descriptors {
            if self.entries.len() == self.entries.capacity() {
                return Err(Error::PollSetFull { capacity: self.entries.capacity() });
            }
            self.entries.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        }
        let count = self.entries.len() as libc::nfds_t;
        // SAFETY: entries is a live array of count pollfd.
        let ready = unsafe { libc::poll(self.entries.as_mut_ptr(), count, milliseconds(timeout)) };
        if let Ok(ready) = usize::try_from(ready) {
            return Ok(ready);
        }
        let source = io::Error::last_os_error();
        if source.kind() == io::ErrorKind::Interrupted {
            return Ok(0);
        }
        Err(Error::System { call: "poll", source })
    }

    /// What the last wait found for the descriptor at this place in its list.
    #[must_use]
    pub fn readiness(&self, place: usize) -> Readiness {
        let found = self.entries.get(place).map_or(0, |entry| entry.revents);
        if found & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
            Readiness::Failed
        } else if found & libc::POLLIN != 0 {
            Readiness::Readable
        } else {
            Readiness::Idle
        }
    }
}

fn milliseconds(timeout: Duration) -> libc::c_int {
    libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn readable_idle_and_hung_up_are_told_apart() {
        let (readable, mut writer) = UnixStream::pair().unwrap();
        let (idle, _peer) = UnixStream::pair().unwrap();
        let (hung_up, gone) = UnixStream::pair().unwrap();
        writer.write_all(b"x").unwrap();
        drop(gone);
        let mut set = PollSet::new(3);
        let ready = set.wait([readable.as_fd(), idle.as_fd(), hung_up.as_fd()], Duration::ZERO).unwrap();
        assert_eq!(ready, 2);
        let found: Vec<_> = (0..4).map(|place| set.readiness(place)).collect();
        assert_eq!(found, [Readiness::Readable, Readiness::Idle, Readiness::Failed, Readiness::Idle]);
    }

    #[test]
    fn one_descriptor_too_many_is_an_error() {
        let (here, there) = UnixStream::pair().unwrap();
        let error = PollSet::new(1).wait([here.as_fd(), there.as_fd()], Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::PollSetFull { capacity: 1 }));
    }

    #[test]
    fn timeouts_round_up() {
        let table = [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, libc::c_int::MAX)];
        for (nanoseconds, expected) in table {
            assert_eq!(milliseconds(Duration::from_nanos(nanoseconds)), expected);
        }
    }
}
