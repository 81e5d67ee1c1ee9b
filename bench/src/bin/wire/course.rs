//! A course: one system on one way, with a generator where packets enter and a sink where they leave.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tests::{Api, Namespace};

use crate::forwarder::Forwarder;
use crate::frames::{Dialect, Size, Template};
use crate::generator::{Generator, Load, Sent};
use crate::kernel::{self, Steering};
use crate::search::Trial;
use crate::sink::Sink;
use crate::vrouter::Vrouter;

/// CPU of the worker or forwarder where there is one node only.
pub(crate) const WORKER_CPU: u16 = 0;
/// CPU of the generator, and of the kernel's softirqs that its packets cause.
pub(crate) const GENERATOR_CPU: usize = 1;
/// As fast as possible: more than any way can take.
const FLOOD: u64 = 5_000_000;
/// How long packets may take to arrive after the last was sent.
const DRAIN: Duration = Duration::from_millis(30);

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum System {
    /// `vrouterd`.
    Vrouter,
    /// The kernel: VXLAN, and nftables for the service.
    Kernel,
    /// A bare two-port AF_XDP forwarder.
    Forwarder,
}

impl System {
    /// How frames of the system look.
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Kernel => Dialect::Kernel,
            Self::Vrouter | Self::Forwarder => Dialect::Vrouter,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vrouter => "vrouter",
            Self::Kernel => "kernel",
            Self::Forwarder => "forwarder",
        })
    }
}

/// Which part of the way from pod to pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// From the client's pod through its node to the wire.
    Client,
    /// From the wire through the backends' node into their pods.
    Backend,
    /// From pod to pod through both nodes.
    Path,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client side",
            Self::Backend => "backend side",
            Self::Path => "both nodes",
        })
    }
}

/// Where packets enter.
pub(crate) struct Entry {
    pub(crate) generator: Generator,
    /// Namespace of the generator; index into the course's.
    pub(crate) place: usize,
    pub(crate) templates: fn(Dialect, Size) -> Vec<Template>,
}

/// What runs on a node for as long as the course is there.
pub(crate) enum Node {
    Vrouter(Vrouter),
    /// Held for its end.
    Forwarder {
        _process: Forwarder,
    },
}

/// A course, ready for packets. What it consists of goes with it: processes first, namespaces last.
pub(crate) struct Course {
    pub(crate) system: System,
    pub(crate) way: Way,
    pub(crate) entry: Entry,
    pub(crate) sink: Sink,
    pub(crate) nodes: Vec<Node>,
    /// Where the kernel takes the packets from: place and interface.
    pub(crate) inlet: (usize, &'static str),
    pub(crate) places: Vec<Namespace>,
}

impl Course {
    /// Chooses the frames of the trials to come.
    pub(crate) fn choose(&mut self, size: Size) {
        let templates = (self.entry.templates)(self.system.dialect(), size);
        self.entry.generator.choose(templates);
    }

    /// Chooses where the kernel forwards; the others choose themselves.
    pub(crate) fn steer(&self, steering: Steering) {
        if self.system == System::Kernel {
            let (place, interface) = self.inlet;
            kernel::steer(&self.places[place], interface, steering);
        }
    }

    /// The API of the first node's vrouter.
    pub(crate) fn api(&self) -> Api {
        match self.nodes.first() {
            Some(Node::Vrouter(vrouter)) => vrouter.api(),
            Some(Node::Forwarder { .. }) | None => panic!("no vrouter on this course"),
        }
    }

    /// Sends for a while and gives what was sent and what arrived.
    pub(crate) fn send(&mut self, load: Load) -> (Sent, u64) {
        let before = self.sink.count();
        let generator = &mut self.entry.generator;
        let sent = self.places[self.entry.place].within(|| generator.run(load));
        std::thread::sleep(DRAIN);
        (sent, self.sink.count() - before)
    }

    /// One trial at `rate` packets per second, infinity for as many as possible.
    pub(crate) fn trial(&mut self, rate: f64, flows: u64, duration: Duration) -> Trial {
        let rate = if rate.is_finite() { rate as u64 } else { FLOOD };
        let (sent, received) = self.send(Load { rate, flows, duration });
        let seconds = sent.seconds.max(1e-3);
        Trial { sent: sent.packets as f64 / seconds, received: received as f64 / seconds }
    }
}
