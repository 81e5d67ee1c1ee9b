//! Making a pair.

use thiserror::Error;

use crate::index::FlowHash;
use crate::key::Direction;
use crate::origin::Origin;
use crate::pair::Half;
use crate::rewrite::Rewrite;
use crate::sync::Ordering;
use crate::table::{FlowTable, Hit, PairRef};
use crate::timeout::Millis;

/// A pair to be made.
///
/// Packets of one direction are translated so that they look like answers to those of the other: no translation
/// if `reverse.key.tuple` is `forward.key.tuple.reversed()`. Both keys have one family and protocol. Both keys may
/// be the same (a pod that talks to itself on one port); all packets of such a pair then count as forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPair {
    /// The direction of the packet at hand.
    pub forward: Half,
    /// The direction of its answers.
    pub reverse: Half,
    /// Whom the pair counts for; below `max_owners`.
    pub owner: u16,
}

/// Why no pair was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InsertError {
    /// The forward key is in the table, as another worker was first: use its pair. The direction may be either.
    #[error("the flow is in the table already: use the pair found")]
    Exists(Hit),
    /// The reverse key is that of another pair, so answers could not be told apart: choose another port.
    #[error("the answers of this flow would look like those of another: translate to another source port")]
    ReverseTaken,
    /// No slot, and no idle pair in reach that could give way.
    #[error("the flow table is full: raise its size or lower the timeouts")]
    TableFull,
    /// The owner has its share, and no idle pair of its own in reach that could give way; or its index is not below
    /// `max_owners`.
    #[error("the owner of this flow has as many flows as it may: raise its limit")]
    OwnerLimit,
    /// Both candidate buckets of a key are full. By chance this does not happen.
    #[error("no place for this flow in the index of the flow table: raise the size of the table")]
    BucketFull,
}

impl FlowTable {
    /// Makes a pair. The hit is that of the forward direction; the packet at hand is not counted, so touch it.
    ///
    /// # Errors
    /// See [`InsertError`]; nothing is changed then, except that an idle pair may have given way.
    pub fn insert(&self, pair: &NewPair, now: Millis) -> Result<Hit, InsertError> {
        let hashes = (self.hash(&pair.forward.key), self.hash(&pair.reverse.key));
        let index = self.slot_for(pair.owner, now).map_err(|error| self.refused(hashes.0, pair, error))?;
        let published = self.publish(index, pair, hashes, now);
        if published.is_err() {
            self.owners.release(pair.owner);
            self.slots.give_back(index);
        }
        published.map_err(|error| self.refused(hashes.0, pair, error))
    }

    /// A free slot that counts for `owner`.
    fn slot_for(&self, owner: u16, now: Millis) -> Result<u32, InsertError> {
        let mut own = None;
        if !self.owners.admit(owner) {
            let index = self.evict_own(owner, now).ok_or(InsertError::OwnerLimit)?;
            if !self.owners.admit(owner) {
                self.slots.give_back(index);
                return Err(InsertError::OwnerLimit);
            }
            own = Some(index);
        }
        own.or_else(|| self.slots.take()).or_else(|| self.evict(now)).ok_or_else(|| {
            self.owners.release(owner);
            InsertError::TableFull
        })
    }

    /// The error to report: that the flow exists comes before all others, and is no refusal.
    fn refused(&self, hash: FlowHash, pair: &NewPair, error: InsertError) -> InsertError {
        if let Some(hit) = self.lookup(hash, &pair.forward.key) {
            return InsertError::Exists(hit);
        }
        let counter = match error {
            InsertError::Exists(_) | InsertError::ReverseTaken => return error,
            InsertError::TableFull => &self.counters.refused_full,
            InsertError::OwnerLimit => &self.counters.refused_owner,
            InsertError::BucketFull => &self.counters.refused_bucket,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        error
    }

    /// Fills a free slot that nobody else has, and links it.
    fn publish(
        &self,
        index: u32,
        new: &NewPair,
        (forward, reverse): (FlowHash, FlowHash),
        now: Millis,
    ) -> Result<Hit, InsertError> {
        let slot = self.pairs.get(index as usize).ok_or(InsertError::TableFull)?;
        let distinct = new.forward.key != new.reverse.key;
        // Four buckets and a slot, all at random: asked for together, waited for once.
        let touched =
            self.index.prefetch(forward) ^ self.index.prefetch(reverse) ^ slot.load_any(Direction::Forward);
        std::hint::black_box(touched);
        let _locks = self.index.lock(forward, reverse);
        if let Some(hit) = self.find_settled(forward, &new.forward.key) {
            return Err(InsertError::Exists(hit));
        }
        if distinct && self.find_settled(reverse, &new.reverse.key).is_some() {
            return Err(InsertError::ReverseTaken);
        }
        let rewrite = Rewrite::between(&new.forward.key.tuple, &new.reverse.key.tuple);
        let free = slot.incarnation();
        let incarnation = free.next();
        let filled = slot.write(free, |slot| {
            slot.fill(&new.forward, &new.reverse, &rewrite);
            slot.reset_activity(now, incarnation);
            if let Some(origin) = self.origins.get(index as usize) {
                origin.store(Origin { owner: new.owner, created: now }.word(), Ordering::Relaxed);
            }
            (incarnation, ())
        });
        filled.ok_or(InsertError::TableFull)?;

        // The forward entry comes last: a lookup for the packet at hand must not find a pair that is taken back.
        let linked = if distinct { self.index.link(reverse, index, Direction::Reverse) } else { Ok(()) }
            .and_then(|()| self.index.link(forward, index, Direction::Forward));
        if linked.is_err() {
            slot.write(incarnation, |_| {
                self.index.unlink(reverse, index, Direction::Reverse);
                (incarnation.next(), ())
            });
            return Err(InsertError::BucketFull);
        }
        self.counters.created.fetch_add(1, Ordering::Relaxed);
        self.counters.live.fetch_add(1, Ordering::Relaxed);
        let pair = PairRef { index, incarnation };
        Ok(Hit { pair, direction: Direction::Forward, action: new.forward.action, rewrite })
    }
}

#[cfg(test)]
mod tests;
