//! Between the API and the control loop: commands one way, what is in force the other way.
//!
//! The loop takes commands one at a time from a bounded queue and waits for nobody; whoever asks waits.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::event::Event;
use crate::config::Awaited;
use crate::declared::{Change, ChangeError, Declared, Effect, FileResources, Key};

/// Commands that wait for the loop; who finds no place waits for one.
const QUEUE: usize = 64;
/// Events that a slow watcher may lag behind.
const EVENTS: usize = 256;
/// Longest wait for the loop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a change is made or only judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Made.
    Apply,
    /// Judged; all stays as it is.
    DryRun,
}

/// A request to the control loop.
#[derive(Debug)]
pub struct Command {
    /// What shall change.
    pub change: Change,
    /// Whether it does.
    pub mode: Mode,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Done, Refusal>>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What it did.
    pub effect: Effect,
    /// Generation in which it is in force; of a dry run the generation that it was judged in.
    pub generation: u64,
    /// The resources that are declared differently now.
    pub changed: Vec<super::event::Changed>,
    /// Vifs that resources name and that are not there then.
    pub awaited: Vec<Awaited>,
}

/// A mistake in what was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `vifs/client/label`, or a place of the file.
    pub field: String,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// Why a change was not made. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not fit what is declared.
    Change(ChangeError),
    /// Resources of these names are in the operator's file, each with its place.
    InFile(Vec<(Key, String)>),
    /// The resources, or what refers to them, would be wrong.
    Mistakes(Vec<Mistake>),
    /// It cannot be kept on disk.
    Disk(String),
    /// The loop has not answered in time, or is ending; the change may be made still.
    Busy,
}

/// What is asked for, by the operator and by programs.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The resources of the file.
    pub file: Arc<FileResources>,
    /// The declared resources.
    pub declared: Arc<Declared>,
}

/// What the control loop and the API share.
#[derive(Debug)]
pub struct Exchange {
    /// What is in force.
    pub documents: ArcSwap<Documents>,
    commands: mpsc::Sender<Command>,
    events: broadcast::Sender<Arc<Event>>,
    generation: watch::Sender<u64>,
}

impl Exchange {
    /// The exchange, and the end at which the loop takes its commands.
    pub fn new(documents: Documents) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (commands, taken) = mpsc::channel(QUEUE);
        let exchange = Self {
            documents: ArcSwap::from_pointee(documents),
            commands,
            events: broadcast::Sender::new(EVENTS),
            generation: watch::Sender::new(0),
        };
        (Arc::new(exchange), taken)
    }

    /// Asks the loop for a change and waits for its answer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn ask(&self, change: Change, mode: Mode) -> Result<Done, Refusal> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.commands.send(Command { change, mode, answer }).await.map_err(|_| Refusal::Busy)?;
            answered.await.unwrap_or(Err(Refusal::Busy))
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Refusal::Busy))
    }

    /// Waits until the loop has ended.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Whether anybody would hear of an event.
    pub fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Tells that a generation is in force, and watchers what is different in it.
    pub fn announce(&self, generation: u64, event: Option<Event>) {
        self.generation.send_replace(generation);
        if let Some(event) = event {
            // An error says that nobody watches.
            let _ = self.events.send(Arc::new(event));
        }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// The generation in force, to be waited for.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}
