//! Opening an embedded object and loading its programs.

use std::io;

use aya::maps::{Map, MapError};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfError, EbpfLoader};
use rustix::io::Errno;
use tracing::debug;

use crate::Error;
use crate::error::{chain, errno};
use crate::preflight::may_compute_packet_offsets;

/// One of the two embedded objects, opened: its maps exist, its programs are not loaded yet.
#[derive(Debug)]
pub(crate) struct Object {
    name: &'static str,
    bpf: Ebpf,
}

impl Object {
    pub(crate) fn fabric() -> Result<Self, Error> {
        Self::open("fabric", aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fabric.bpf.o")))
    }

    pub(crate) fn trunk() -> Result<Self, Error> {
        Self::open("trunk", aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/trunk.bpf.o")))
    }

    /// The programs read no kernel structure through BTF, so a kernel without `/sys/kernel/btf` will do.
    fn open(name: &'static str, bytes: &[u8]) -> Result<Self, Error> {
        match EbpfLoader::new().btf(None).load(bytes) {
            Ok(bpf) => Ok(Self { name, bpf }),
            Err(error) => Err(open_error(name, error)),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Takes a map out of the object and gives it its type; sizes are checked by aya.
    pub(crate) fn map<T>(&mut self, name: &'static str) -> Result<T, Error>
    where
        T: TryFrom<Map, Error = MapError>,
    {
        let map = self.bpf.take_map(name).ok_or(Error::Malformed { object: self.name, item: name })?;
        T::try_from(map).map_err(|source| self.map_error(name, source))
    }

    pub(crate) fn map_error(&self, map: &'static str, source: MapError) -> Error {
        Error::Map { object: self.name, map, source: Box::new(source) }
    }

    pub(crate) fn load_xdp(&mut self, name: &'static str) -> Result<(), Error> {
        let loaded = self.xdp(name)?.load();
        loaded.map_err(|error| load_error(name, error))
    }

    pub(crate) fn load_classifier(&mut self, name: &'static str) -> Result<(), Error> {
        let loaded = self.classifier(name)?.load();
        loaded.map_err(|error| load_error(name, error))
    }

    pub(crate) fn xdp(&mut self, name: &'static str) -> Result<&mut Xdp, Error> {
        let object = self.name;
        self.program(name)?.try_into().map_err(|_| Error::Malformed { object, item: name })
    }

    pub(crate) fn classifier(&mut self, name: &'static str) -> Result<&mut SchedClassifier, Error> {
        let object = self.name;
        self.program(name)?.try_into().map_err(|_| Error::Malformed { object, item: name })
    }

    fn program(&mut self, name: &'static str) -> Result<&mut Program, Error> {
        let missing = Error::Malformed { object: self.name, item: name };
        self.bpf.program_mut(name).ok_or(missing)
    }
}

fn open_error(object: &'static str, error: EbpfError) -> Error {
    let denied = match &error {
        EbpfError::MapError(MapError::CreateError { io_error, .. }) => io_error.raw_os_error(),
        _ => None,
    };
    match denied {
        Some(code) if is_denial(code) => Error::NotPermitted {
            action: format!("making the maps of BPF object `{object}`"),
            source: io::Error::from_raw_os_error(code),
        },
        _ => Error::Open { object, source: Box::new(error) },
    }
}

fn load_error(program: &'static str, error: ProgramError) -> Error {
    if let ProgramError::LoadError { verifier_log, .. } = &error {
        debug!(program, %verifier_log, "verifier log");
    }
    let source = match errno(&error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(chain(&error)),
    };
    match source.raw_os_error() {
        Some(code) if is_denial(code) || is_verifier_denial(code) => {
            Error::NotPermitted { action: format!("loading BPF program `{program}`"), source }
        }
        _ => Error::Load { program, source },
    }
}

fn is_denial(code: i32) -> bool {
    code == Errno::PERM.raw_os_error()
}

/// EACCES is what the verifier says of an unsafe program; of ours only where a capability is missing.
fn is_verifier_denial(code: i32) -> bool {
    code == Errno::ACCESS.raw_os_error() && !may_compute_packet_offsets()
}
