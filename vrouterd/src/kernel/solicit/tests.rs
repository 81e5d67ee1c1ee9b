use super::*;
use crate::kernel::facts::{IfIndex, Neighbour};

fn hop(last: u8) -> NextHop {
    (IfIndex(3), [10, 0, 0, last].into())
}

struct Bench {
    facts: KernelFacts,
    solicitor: Solicitor,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { facts: KernelFacts::default(), solicitor: Solicitor::default(), start: Instant::now() }
    }

    fn set(&mut self, state: Nud) {
        self.facts.neighbours.insert(hop(2), Neighbour { mac: None, state });
    }

    /// Runs a pass at a time in ms; gives whether it asks, and the time of the next one.
    fn pass(&mut self, at: u64) -> (bool, Option<u64>) {
        let now = self.start + Duration::from_millis(at);
        let plan = self.solicitor.plan(&self.facts, &[hop(2)].into(), now);
        let next = plan.next.map(|next| u64::try_from((next - self.start).as_millis()).unwrap());
        assert!(plan.ask.is_empty() || plan.ask == [hop(2)]);
        (!plan.ask.is_empty(), next)
    }
}

#[test]
fn confirmed_neighbours_are_left_in_peace() {
    for state in [Nud::Reachable, Nud::Delay, Nud::Probe, Nud::NoArp, Nud::Permanent] {
        let mut bench = Bench::new();
        bench.set(state);
        assert_eq!(bench.pass(0), (false, None), "{state:?}");
    }
}

#[test]
fn an_unresolved_neighbour_is_asked_for_at_once_and_then_each_second() {
    let mut bench = Bench::new();
    assert_eq!(bench.pass(0), (true, Some(1000)));
    assert_eq!(bench.pass(50), (false, Some(1000)));
    bench.set(Nud::Incomplete);
    assert_eq!(bench.pass(999), (false, Some(1000)));
    assert_eq!(bench.pass(1000), (true, Some(2000)));
    assert!(bench.solicitor.failed().is_empty());
}

#[test]
fn a_stale_neighbour_is_used_every_five_seconds() {
    let mut bench = Bench::new();
    bench.set(Nud::Stale);
    assert_eq!(bench.pass(0), (true, Some(5000)));
    assert_eq!(bench.pass(4999), (false, Some(5000)));
    assert_eq!(bench.pass(5000), (true, Some(10_000)));
}

#[test]
fn a_failed_neighbour_is_asked_for_ever_more_rarely_until_it_answers() {
    let mut bench = Bench::new();
    assert_eq!(bench.pass(0), (true, Some(1000)));
    bench.set(Nud::Failed);
    let mut asked = Vec::new();
    let mut at = 500;
    while at < 40_000 {
        let (asks, next) = bench.pass(at);
        if asks {
            asked.push(at);
        }
        at = next.unwrap();
    }
    assert_eq!(asked, [1000, 3000, 7000, 15_000, 25_000, 35_000]);
    bench.facts.neighbours.clear();
    bench.pass(40_000);
    assert_eq!(bench.solicitor.failed(), [hop(2)].into(), "collecting the entry cures nothing");
    bench.set(Nud::Reachable);
    assert_eq!(bench.pass(41_000), (false, None));
    assert!(bench.solicitor.failed().is_empty());
    bench.facts.neighbours.clear();
    assert_eq!(bench.pass(50_000), (true, Some(51_000)), "the backoff starts anew");
}

#[test]
fn one_pass_asks_for_a_bounded_number_and_the_next_for_the_others() {
    let mut bench = Bench::new();
    let wanted: BTreeSet<NextHop> = (0..100).map(hop).collect();
    let first = bench.solicitor.plan(&bench.facts, &wanted, bench.start);
    assert_eq!((first.ask.len(), first.next), (ASKS_PER_PASS, Some(bench.start)));
    let second = bench.solicitor.plan(&bench.facts, &wanted, bench.start);
    assert_eq!((second.ask.len(), second.next), (36, Some(bench.start + UNRESOLVED_GAP)));
    let both: BTreeSet<NextHop> = first.ask.into_iter().chain(second.ask).collect();
    assert_eq!(both, wanted);
}

#[test]
fn next_hops_out_of_use_are_forgotten() {
    let mut bench = Bench::new();
    bench.set(Nud::Failed);
    bench.pass(0);
    assert_eq!(bench.solicitor.failed(), [hop(2)].into());
    assert_eq!(bench.solicitor.plan(&bench.facts, &BTreeSet::new(), bench.start), Plan::default());
    assert!(bench.solicitor.failed().is_empty());
}
