//! Labels that change hands: for a while they lead nowhere.
//!
//! Another node may have sent a packet to a label just before it learned that the label's owner is gone.
//! If the label has a new owner by then, the packet would reach another tenant's pod.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dataplane::desired::Desired;
use dataplane::ids::{VifName, VrfName};
use encap::Label;

/// How long a label rests between two owners. Routes that name it are withdrawn from the other nodes within
/// seconds; a packet that was sent before then is under way for milliseconds.
pub(super) const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Vif(VifName, VrfName),
    Vrf(VrfName),
    Broadcast(VrfName),
}

#[derive(Clone, Debug)]
struct Lease {
    owner: Owner,
    /// When the owner was first seen without the label.
    released: Option<Instant>,
}

/// Who has each label, or had it a moment ago.
#[derive(Clone, Debug, Default)]
pub(super) struct Quarantine(BTreeMap<Label, Lease>);

impl Quarantine {
    /// Takes note of who has which label in `desired`; returns the labels that must rest.
    pub(super) fn follow(&mut self, desired: &Desired, now: Instant) -> BTreeSet<Label> {
        let owners = owners(desired);
        for (label, lease) in &mut self.0 {
            lease.released = match owners.get(label) {
                Some(owner) if *owner == lease.owner => None,
                Some(_) | None => Some(lease.released.unwrap_or(now)),
            };
        }
        self.0.retain(|_, lease| lease.rests(now) || lease.released.is_none());
        let mut resting = BTreeSet::new();
        for (label, owner) in owners {
            let lease = self.0.entry(label).or_insert_with(|| Lease { owner, released: None });
            if lease.released.is_some() {
                resting.insert(label);
            }
        }
        resting
    }

    /// Whether a label has rested long enough by now, so that [`Quarantine::follow`] has news.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        self.0.values().any(|lease| lease.released.is_some() && !lease.rests(now))
    }
}

impl Lease {
    fn rests(&self, now: Instant) -> bool {
        self.released.is_some_and(|since| now.saturating_duration_since(since) < REST)
    }
}

fn owners(desired: &Desired) -> BTreeMap<Label, Owner> {
    let vifs = desired.vifs.iter().map(|vif| (vif.label, Owner::Vif(vif.name.clone(), vif.vrf.clone())));
    let vrfs = desired.vrfs.iter().filter_map(|vrf| Some((vrf.label?, Owner::Vrf(vrf.name.clone()))));
    let broadcasts = desired.broadcasts.iter();
    let broadcasts = broadcasts.filter_map(|all| Some((all.label?, Owner::Broadcast(all.vrf.clone()))));
    vifs.chain(vrfs).chain(broadcasts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A node whose vifs have these names and labels.
    fn node(vifs: &[(&str, u32)]) -> Desired {
        let head = "[node]\nname = \"a\"\nuplink = \"eth1\"\ntunnel_address = \"172.30.0.1\"\n[[vrf]]\nname = \"blue\"\nlabel = 90\n";
        let vif = |(index, (name, label)): (usize, &(&str, u32))| {
            format!(
                "[[vif]]\nname = \"{name}\"\nifname = \"veth{index}\"\nvrf = \"blue\"\naddresses = [\"10.0.0.{index}\"]\n\
                 mac = \"02:00:00:00:00:0{index}\"\nlabel = {label}\n"
            )
        };
        let vifs: String = (1..).zip(vifs).map(|(index, known)| vif((index, known))).collect();
        config::parse("test", &format!("{head}{vifs}")).unwrap().desired(1500)
    }

    fn resting(labels: &BTreeSet<Label>) -> Vec<u32> {
        labels.iter().map(|label| label.get()).collect()
    }

    #[test]
    fn a_label_rests_between_two_owners_and_only_then() {
        let (mut quarantine, start) = (Quarantine::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(quarantine.follow(&node(&[("web", 17), ("db", 18)]), at(0)).is_empty());
        // Gone, and back under the same name: the same owner.
        assert!(quarantine.follow(&node(&[("db", 18)]), at(100)).is_empty());
        assert!(quarantine.follow(&node(&[("web", 17), ("db", 18)]), at(200)).is_empty());
        // Another pod takes it while the first goes.
        assert_eq!(resting(&quarantine.follow(&node(&[("new", 17), ("db", 18)]), at(1000))), [17]);
        assert!(!quarantine.has_ended(at(5999)));
        assert_eq!(resting(&quarantine.follow(&node(&[("new", 17), ("db", 18)]), at(5999))), [17]);
        assert!(quarantine.has_ended(at(6000)));
        assert!(quarantine.follow(&node(&[("new", 17), ("db", 18)]), at(6000)).is_empty());
        assert!(!quarantine.has_ended(at(60_000)));
    }

    #[test]
    fn a_label_that_nobody_had_for_long_enough_is_free_at_once() {
        let (mut quarantine, start) = (Quarantine::default(), Instant::now());
        quarantine.follow(&node(&[("web", 17)]), start);
        quarantine.follow(&node(&[]), start);
        assert_eq!(resting(&quarantine.follow(&node(&[("new", 17)]), start + REST / 2)), [17]);
        let (mut quarantine, start) = (Quarantine::default(), Instant::now());
        quarantine.follow(&node(&[("web", 17)]), start);
        quarantine.follow(&node(&[]), start);
        assert!(quarantine.follow(&node(&[("new", 17)]), start + REST).is_empty());
    }

    #[test]
    fn two_pods_that_swap_their_labels_both_wait() {
        let (mut quarantine, start) = (Quarantine::default(), Instant::now());
        quarantine.follow(&node(&[("a", 17), ("b", 18)]), start);
        assert_eq!(resting(&quarantine.follow(&node(&[("b", 17), ("a", 18)]), start)), [17, 18]);
        assert!(quarantine.follow(&node(&[("b", 17), ("a", 18)]), start + REST).is_empty());
    }
}
