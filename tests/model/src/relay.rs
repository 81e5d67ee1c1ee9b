//! ICMP errors of others: they belong to the flow of the packet they quote.

use dataplane::drop::DropReason;

use crate::derive::Derived;
use crate::fib::{self, Choice, Exit, Scope};
use crate::packet::{Packet, Tuple};
use crate::pairs::{self, Context, Half, Key};
use crate::plan::{self, Ingress};
use crate::quote::{self, Quote};
use crate::router::{Arrival, Decided, Draft, End, Router, check_ttl};
use crate::way::{self, Halt};

impl Router {
    /// An ICMP error goes where the answers of the flow go that it speaks of.
    pub(crate) fn relay(&self, at: &Arrival, error: &Packet, draft: Draft) -> Decided<End> {
        let unmatched = || (draft.clone(), Err(Halt::Drop(DropReason::IcmpErrorUnmatched)));
        let Some(quote) = quote::read(error).filter(|quote| quote::is_sound(error, quote)) else {
            return vec![(draft, Err(DropReason::IcmpErrorMalformed.into()))];
        };
        // RFC 5508 section 4.2: an error goes to the sender of the packet it quotes, nowhere else.
        if quote.tuple.src != error.tuple.dst {
            return vec![unmatched()];
        }
        if let Err(reason) = plan::refuse_martians(&error.tuple) {
            return vec![(draft, Err(reason.into()))];
        }
        let key = self.context(&at.ingress).map(|context| Key { context, tuple: quote.tuple.reversed() });
        let behind = || {
            let context = self.pod_behind(&at.ingress, &error.tuple)?;
            Some(Key { context, tuple: quote.tuple.reversed() })
        };
        let find = |key: Key| pairs::find(&draft.state.pairs, &key);
        let Some((row, direction)) = key.and_then(find).or_else(|| behind().and_then(find)) else {
            return vec![unmatched()];
        };
        let mut ends = Vec::new();
        for (draft, derived) in self.derive(&draft, row, direction) {
            let end = match derived {
                Derived::Kept => {
                    let pair = &draft.state.pairs[row];
                    let (half, answer) = (pair.halves(direction).0, pair.leaves_as(direction));
                    self.relay_along(at, error, &quote, (&half, answer))
                }
                Derived::Refused(_) | Derived::Denied | Derived::Gone => {
                    Err(DropReason::IcmpErrorUnmatched.into())
                }
            };
            ends.push((draft, end));
        }
        ends
    }

    /// The pod to whose address another node has sent something with the label of its VRF.
    fn pod_behind(&self, ingress: &Ingress, tuple: &Tuple) -> Option<Context> {
        let Ingress::VrfLabel(vrf, _) = ingress else { return None };
        match fib::resolve(&self.desired, vrf, tuple, Scope::Local).ok()?.as_slice() {
            [Choice { exit: Exit::Vif(name), .. }] => {
                fib::vif(&self.desired, name).filter(|vif| vif.addresses.contains(&tuple.dst))?;
                self.ids.vif(name).map(|vif| Context::Vif(vif.id))
            }
            _ => None,
        }
    }

    fn relay_along(
        &self,
        at: &Arrival,
        error: &Packet,
        quote: &Quote,
        (half, answer): (&Half, Tuple),
    ) -> Result<End, Halt> {
        if !half.origin.admits(at.ingress.origin()) {
            return Err(DropReason::TunnelSourceMismatch.into());
        }
        if let Ingress::Vif(name) = &at.ingress {
            let own = fib::vif(&self.desired, name)
                .is_some_and(|vif| fib::may_send(&self.desired, vif, error.tuple.src));
            if !own {
                return Err(DropReason::SpoofedSource.into());
            }
        }
        check_ttl(error, half.step)?;
        way::check(self, half.output, error.bytes.len())?;
        let bytes = quote::translate(error, quote, answer, half.step);
        Ok(End::Sent(vec![way::leave(self, half.output, &bytes).ok_or(DropReason::VifDown)?]))
    }
}
