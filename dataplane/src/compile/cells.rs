//! The epochs that flows compare themselves with, in one array.

use crate::ids::CellId;

/// Epochs by cell. An epoch is the generation at which its cell moved last, so none comes twice.
#[derive(Debug)]
pub(super) struct Cells {
    epochs: Vec<u32>,
    free: Vec<CellId>,
}

/// Nothing but [`CellId::NODE`].
impl Default for Cells {
    fn default() -> Self {
        Self { epochs: vec![0], free: Vec::new() }
    }
}

impl Cells {
    /// A cell that nobody has, at `epoch`.
    pub(super) fn allocate(&mut self, epoch: u32) -> CellId {
        if let Some(cell) = self.free.pop() {
            self.bump(cell, epoch);
            return cell;
        }
        self.epochs.push(epoch);
        CellId((self.epochs.len() - 1) as u32)
    }

    /// Makes everything stale that rests on the cell.
    pub(super) fn bump(&mut self, cell: CellId, epoch: u32) {
        if let Some(place) = self.epochs.get_mut(cell.0 as usize) {
            *place = epoch;
        }
    }

    /// Makes everything stale.
    pub(super) fn bump_all(&mut self, epoch: u32) {
        self.epochs.fill(epoch);
    }

    /// Gives a cell back; what rests on it is stale from now on.
    pub(super) fn release(&mut self, cell: CellId, epoch: u32) {
        self.bump(cell, epoch);
        self.free.push(cell);
    }

    /// All epochs, for a snapshot.
    pub(super) fn epochs(&self) -> Box<[u32]> {
        self.epochs.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_used_again_at_another_epoch() {
        let mut cells = Cells::default();
        let (first, second) = (cells.allocate(1), cells.allocate(1));
        assert_eq!((first, second), (CellId(1), CellId(2)));
        cells.release(first, 2);
        assert_eq!(*cells.epochs(), [0, 2, 1]);
        assert_eq!(cells.allocate(3), first);
        cells.bump(second, 4);
        assert_eq!(*cells.epochs(), [0, 3, 4]);
    }
}
