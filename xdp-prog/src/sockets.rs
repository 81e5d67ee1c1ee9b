//! The AF_XDP sockets a program hands frames to, by receive queue.

use std::io;
use std::os::fd::BorrowedFd;

use aya::maps::{MapData, MapError, XskMap};

use crate::object::Object;
use crate::{Error, QUEUES};

pub(crate) struct Sockets {
    map: XskMap<MapData>,
    object: &'static str,
}

impl Sockets {
    pub(crate) fn of(object: &mut Object) -> Result<Self, Error> {
        Ok(Self { map: object.map("xsks")?, object: object.name() })
    }

    pub(crate) fn set(&mut self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        check(queue)?;
        self.map.set(queue, socket, 0).map_err(|source| self.error(source))
    }

    pub(crate) fn clear(&mut self, queue: u32) -> Result<(), Error> {
        check(queue)?;
        match self.map.unset(queue) {
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|source| self.error(source)),
        }
    }

    fn error(&self, source: MapError) -> Error {
        Error::Map { object: self.object, map: "xsks", source: Box::new(source) }
    }
}

fn check(queue: u32) -> Result<(), Error> {
    if queue < QUEUES { Ok(()) } else { Err(Error::QueueOutOfRange { queue }) }
}
