//! Working or not, and if not, why.

use dataplane::desired::Link;

/// State of a link, a backend, a next hop or the daemon. JSON: `{"state":"down","reason":"..."}`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Works.
    Up,
    /// Does not work.
    Down {
        /// One sentence for the operator: what is wrong and what to do.
        reason: String,
    },
}

impl From<&Link> for State {
    fn from(link: &Link) -> Self {
        match link {
            Link::Up => State::Up,
            Link::Down(reason) => State::Down { reason: reason.clone() },
        }
    }
}

impl State {
    /// Whether it works.
    pub fn is_up(&self) -> bool {
        matches!(self, State::Up)
    }

    /// Why it does not work; `None` when it does.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Up => None,
            State::Down { reason } => Some(reason),
        }
    }
}

/// Answers of `/healthz` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// The process makes progress; when down, restarting it is the remedy.
    pub live: State,
    /// Packets can flow; when down, waiting or mending the configuration is the remedy.
    pub ready: State,
}
