//! ICMP errors of others: they belong to the flow of the packet they quote.

use dataplane::drop::DropReason;

use crate::fib;
use crate::packet::{Packet, Tuple};
use crate::pairs::{self, Direction, Half, Key, Plan};
use crate::plan::{self, Ingress};
use crate::quote::{self, Quote};
use crate::router::{Arrival, Decided, Draft, End, Router, check_ttl};
use crate::way::{self, Halt};

impl Router {
    /// An ICMP error goes where the answers of the flow go that it speaks of.
    pub(crate) fn relay(&self, at: &Arrival, error: &Packet, draft: Draft) -> Decided<End> {
        let unmatched = || (draft.clone(), Err(Halt::Drop(DropReason::IcmpErrorUnmatched)));
        let Some(quote) = quote::read(error) else {
            return vec![(draft, Err(DropReason::MalformedL4.into()))];
        };
        let key = self.context(&at.ingress).map(|context| Key { context, tuple: quote.tuple.reversed() });
        let Some((row, direction)) = key.and_then(|key| pairs::find(&draft.state.pairs, &key)) else {
            return vec![unmatched()];
        };
        let pair = &draft.state.pairs[row];
        let mut ends = Vec::new();
        let mut plans = vec![pair.plan];
        if pair.checked != self.generation {
            // A change has come since the pair was found right. Until its next packet, errors about
            // it may get lost: they are no reason to derive a flow again.
            ends.push(unmatched());
            let anew = self.ingress_of(&pair.plan.forward).and_then(|ingress| {
                plan::plans(self, &ingress, pair.plan.forward.key.tuple, Some(&pair.plan)).ok()
            });
            plans.retain(|old| anew.as_ref().is_some_and(|anew| anew.iter().any(|new| same_path(new, old))));
        }
        for plan in plans {
            let half = match direction {
                Direction::Forward => plan.forward,
                Direction::Reverse => plan.reverse,
            };
            let sent = self.relay_along(at, error, &quote, (&half, pair.leaves_as(direction)));
            ends.push((draft.clone(), sent));
        }
        ends
    }

    fn relay_along(
        &self,
        at: &Arrival,
        error: &Packet,
        quote: &Quote,
        (half, answer): (&Half, Tuple),
    ) -> Result<End, Halt> {
        // RFC 792: an error goes to the source of the packet it quotes.
        if quote.tuple.src != error.tuple.dst {
            return Err(DropReason::IcmpErrorUnmatched.into());
        }
        if half.origin != at.ingress.origin() {
            return Err(DropReason::TunnelSourceMismatch.into());
        }
        if let Ingress::Vif(name) = &at.ingress {
            let own =
                fib::vif(&self.desired, name).is_some_and(|vif| vif.addresses.contains(&error.tuple.src));
            if !own {
                return Err(DropReason::SpoofedSource.into());
            }
        }
        check_ttl(error, half.step)?;
        way::check(self, half.output, error.bytes.len())?;
        let bytes = quote::translate(error, quote, answer, half.step);
        Ok(End::Sent(way::leave(self, half.output, &bytes).ok_or(DropReason::VifDown)?))
    }
}

fn same_path(new: &Plan, old: &Plan) -> bool {
    new.reverse == old.reverse && new.forward == old.forward
}
