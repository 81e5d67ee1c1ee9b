//! The file: written beside and renamed, and judged before a byte of it is believed.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dataplane::carry::Roster;
use flow_table::{Carried, Millis};

use super::clock::BootId;
use super::codec::{Garbled, MOST_PAIR, Reader, Writer};

const NAME: &str = "flows";
const NEXT: &str = "flows.next";
const BAD: &str = "flows.bad";
const MAGIC: [u8; 8] = *b"vrflows\n";
/// Of the format; another one is ignored.
pub(super) const VERSION: u32 = 1;
/// Older journals are ignored: hosts have given their connections up by then (RFC 9293 section 3.8.3 and
/// tcp(7), `tcp_retries2`), and who still has one may have another path.
const MOST_AGE: Millis = Millis(60 * 60 * 1000);
/// Most bytes beside the pairs: names of all vifs, VRFs and tunnel endpoints.
const MOST_NAMES: u64 = 64 << 20;
/// Bytes collected before they are written.
const CHUNK: usize = 256 << 10;

/// Seeds of the hash by which flows are spread over members.
pub type SpreadSeeds = [u64; 4];

/// Where the journal of a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFile {
    directory: PathBuf,
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Seeds of the writer's spread.
    pub spread: SpreadSeeds,
    /// Which of the writer's ids stood for what.
    pub roster: Roster,
    /// The pairs.
    pub pairs: Vec<Carried>,
}

/// Why a journal is not used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another program's file, or one whose beginning is lost.
    #[error("it is no journal of flows")]
    Foreign,
    /// Written by another version.
    #[error("it is of version {0}, this daemon reads version {VERSION}")]
    Version(u32),
    /// The machine has been started since.
    #[error("it is of another boot of this machine")]
    OtherBoot,
    /// The checksum is wrong, or the contents do not fit it.
    #[error("it is damaged or cut")]
    Damaged,
    /// Too long ago.
    #[error("it is {} s old, more than {} s", .0.0 / 1000, MOST_AGE.0 / 1000)]
    Old(Millis),
    /// The writer's clock was ahead of this one, as it never is within one boot.
    #[error("it was written in the future")]
    Future,
    /// More than this daemon would have written.
    #[error("it has {size} bytes, more than the {most} of a full table: look at engine.flows")]
    TooLarge {
        /// Bytes.
        size: u64,
        /// Bytes that are read.
        most: u64,
    },
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<Garbled> for JournalError {
    fn from(Garbled: Garbled) -> Self {
        JournalError::Damaged
    }
}

impl JournalFile {
    /// The journal in this directory; nothing is made yet.
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Begins a new journal beside the one that is there.
    pub(super) fn begin(&self, boot: BootId, spread: SpreadSeeds) -> io::Result<Pass> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.directory.join(NEXT))?;
        let mut buffer = Vec::with_capacity(CHUNK + MOST_PAIR);
        buffer.extend_from_slice(&MAGIC);
        let mut writer = Writer(&mut buffer);
        writer.u32(VERSION);
        boot.0.iter().for_each(|byte| writer.u8(*byte));
        spread.iter().for_each(|seed| writer.u64(*seed));
        Ok(Pass { file, buffer, crc: crc32fast::Hasher::new(), pairs: 0 })
    }

    /// Puts a complete journal in the place of the former one. There is no fsync: what a crash of the machine
    /// loses is of no use after it.
    pub(super) fn finish(&self, mut pass: Pass, roster: &Roster, now: Millis) -> io::Result<()> {
        let mut writer = Writer(&mut pass.buffer);
        writer.roster(roster);
        writer.u64(now.0);
        writer.u64(pass.pairs);
        pass.write_out()?;
        let crc = pass.crc.clone().finalize();
        pass.file.write_all(&crc.to_le_bytes())?;
        fs::rename(self.directory.join(NEXT), self.path())
    }

    /// Removes what a failed pass has left, so that it does not fill the disk.
    pub(super) fn abandon(&self) {
        drop(fs::remove_file(self.directory.join(NEXT)));
    }

    /// Reads the journal; none if there is none. At most `most_pairs` are expected.
    ///
    /// # Errors
    /// [`JournalError`]; nothing has been believed then.
    pub fn read(&self, boot: BootId, now: Millis, most_pairs: u32) -> Result<Option<Journal>, JournalError> {
        let file = match File::open(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (size, most) = (file.metadata()?.len(), MOST_NAMES + u64::from(most_pairs) * MOST_PAIR as u64);
        if size > most {
            return Err(JournalError::TooLarge { size, most });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        // It may grow while it is read, but for no good.
        file.take(most).read_to_end(&mut bytes)?;
        decode(&bytes, boot, now).map(Some)
    }

    /// Puts the journal away as `flows.bad`, in the place of an earlier one.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let bad = self.directory.join(BAD);
        fs::rename(self.path(), &bad)?;
        Ok(bad)
    }
}

/// A journal that is being written.
pub(super) struct Pass {
    file: File,
    buffer: Vec<u8>,
    crc: crc32fast::Hasher,
    pairs: u64,
}

impl Pass {
    pub(super) fn add(&mut self, carried: &Carried) -> io::Result<()> {
        Writer(&mut self.buffer).pair(carried);
        self.pairs += 1;
        if self.buffer.len() < CHUNK { Ok(()) } else { self.write_out() }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.crc.update(&self.buffer);
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Version and boot are judged before the checksum: another version may have another one.
pub(super) fn decode(bytes: &[u8], boot: BootId, now: Millis) -> Result<Journal, JournalError> {
    let mut head = Reader(bytes);
    match head.bytes() {
        Ok(MAGIC) => {}
        Ok(_) | Err(Garbled) => return Err(JournalError::Foreign),
    }
    match head.u32()? {
        VERSION => {}
        other => return Err(JournalError::Version(other)),
    }
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Garbled)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(JournalError::Damaged);
    }
    if head.bytes()? != boot.0 {
        return Err(JournalError::OtherBoot);
    }
    let spread = [head.u64()?, head.u64()?, head.u64()?, head.u64()?];
    let mut pairs = Vec::new();
    while let Some(pair) = head.pair()? {
        pairs.push(pair);
    }
    let roster = head.roster()?;
    let (written, count) = (Millis(head.u64()?), head.u64()?);
    if head.0.len() != crc.len() || count != pairs.len() as u64 {
        return Err(JournalError::Damaged);
    }
    match now.since(written) {
        _ if written > now => Err(JournalError::Future),
        age if age > MOST_AGE => Err(JournalError::Old(age)),
        _ => Ok(Journal { spread, roster, pairs }),
    }
}

#[cfg(test)]
mod tests;
