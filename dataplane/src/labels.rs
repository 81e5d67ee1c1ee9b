//! What labels mean, found without hashing: the upper half of a label names a page, the lower half an entry in it.

use std::collections::HashMap;
use std::hash::BuildHasher;

use encap::Label;

use crate::snapshot::LabelTarget;

const ENTRIES: usize = 1 << 10;
const PAGES: usize = 1 << 10;

type Page = [Option<LabelTarget>; ENTRIES];

/// The labels of a node. A page takes 4 KiB; labels that follow each other share one.
#[derive(Debug)]
pub(crate) struct Labels {
    /// Index into `pages` by the upper half of a label; 0 is a page without labels.
    directory: Box<[u16; PAGES]>,
    pages: Vec<Page>,
}

impl Labels {
    pub(crate) fn new<S: BuildHasher>(labels: &HashMap<Label, LabelTarget, S>) -> Self {
        let (mut directory, mut pages) = (Box::new([0; PAGES]), vec![[None; ENTRIES]]);
        for (label, target) in labels {
            let (upper, lower) = halves(*label);
            let Some(page) = directory.get_mut(upper) else { continue };
            if *page == 0 {
                // At most as many as the directory has.
                *page = pages.len() as u16;
                pages.push([None; ENTRIES]);
            }
            if let Some(entry) = pages.get_mut(usize::from(*page)).and_then(|page| page.get_mut(lower)) {
                *entry = Some(*target);
            }
        }
        Self { directory, pages }
    }

    #[inline(always)]
    pub(crate) fn get(&self, label: Label) -> Option<LabelTarget> {
        let (upper, lower) = halves(label);
        let page = *self.directory.get(upper)?;
        *self.pages.get(usize::from(page))?.get(lower)?
    }

    /// In the order of the labels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Label, LabelTarget)> + '_ {
        let used = (0u32..).zip(self.directory.iter()).filter(|(_, page)| **page != 0);
        used.flat_map(|(upper, page)| {
            let entries = self.pages.get(usize::from(*page)).map_or(&[][..], |page| &page[..]);
            (0u32..).zip(entries).filter_map(move |(lower, target)| {
                Some((Label::new(upper * ENTRIES as u32 + lower)?, (*target)?))
            })
        })
    }
}

#[inline(always)]
fn halves(label: Label) -> (usize, usize) {
    let label = label.get() as usize;
    (label / ENTRIES, label % ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{VifSlot, VrfId};

    #[test]
    fn a_label_means_what_was_said_and_its_neighbours_nothing() {
        let label = |number| Label::new(number).unwrap();
        let vif = |slot| LabelTarget::Vif(VifSlot::new(slot).unwrap());
        let known = [(16, vif(1)), (1023, vif(2)), (1024, vif(4094)), (0xf_ffff, LabelTarget::Vrf(VrfId(0)))];
        let given: HashMap<Label, LabelTarget> =
            known.iter().map(|(number, target)| (label(*number), *target)).collect();
        let labels = Labels::new(&given);
        for (number, target) in known {
            assert_eq!(labels.get(label(number)), Some(target), "{number}");
        }
        for unknown in [0, 15, 17, 1022, 1025, 2047, 0xf_fffe] {
            assert_eq!(labels.get(label(unknown)), None, "{unknown}");
        }
        let listed: Vec<(Label, LabelTarget)> = labels.iter().collect();
        assert_eq!(listed, known.map(|(number, target)| (label(number), target)));
    }

    #[test]
    fn a_page_takes_four_kibibytes() {
        assert_eq!(size_of::<Page>(), 4096);
    }

    #[test]
    fn all_labels_fit() {
        let all =
            (0..1 << 20).map(|number| (Label::new(number).unwrap(), LabelTarget::Vrf(VrfId(number as u16))));
        let labels = Labels::new(&all.collect::<HashMap<_, _>>());
        assert_eq!(labels.iter().count(), 1 << 20);
        assert_eq!(labels.get(Label::MAX), Some(LabelTarget::Vrf(VrfId(u16::MAX))));
    }
}
