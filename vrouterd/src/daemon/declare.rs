//! What the API asks of the control loop: declared state is judged, kept and published, in this order.
//!
//! A crash between any two of these steps loses nothing that was answered: what is on disk has been judged and
//! compiled, and what was answered is on disk.

use std::path::Path;
use std::sync::Arc;

use super::control::Control;
use super::error::DaemonError;
use crate::api::{Command, Documents, Done, Mistake, Mode, Refusal, of_documents};
use crate::config::{Config, HostFacts, Problem, check_against};
use crate::declared::{Change, Declared, Effect, Fields, Key, Unfit};
use crate::state::ControlState;

/// Mistakes in one answer.
const MOST_MISTAKES: usize = 1000;

impl Control {
    /// Does what a command asks for and answers it, whether or not somebody still waits for the answer.
    ///
    /// # Errors
    /// [`DaemonError::DeviceGone`].
    pub(super) async fn obey(&mut self, command: Command) -> Result<(), DaemonError> {
        let done = self.declare(command.change, command.mode).await;
        if let Err(refusal @ Refusal::Disk(_)) = &done {
            tracing::error!(?refusal, "declared state is not kept");
        }
        let made = done.as_ref().is_ok_and(|done| done.effect != Effect::Unchanged);
        // Vifs whose interfaces are there are attached before anybody is told.
        let followed = if made && command.mode == Mode::Apply { self.follow().await } else { Ok(()) };
        drop(command.answer.send(done));
        followed
    }

    async fn declare(&mut self, change: Change, mode: Mode) -> Result<Done, Refusal> {
        let sources = &self.parts.sources;
        refuse_file(&sources.documents, &change)?;
        let old = Arc::clone(&sources.documents.declared);
        let whole = change.key().is_none();
        let (next, effect) = change.apply(&old).map_err(Refusal::Change)?;
        let (changed, next) = (of_documents(&old, &next), Arc::new(next));
        let done =
            |generation, config: &Config| Done { effect, generation, changed, awaited: config.awaited() };
        if effect == Effect::Unchanged {
            return Ok(done(self.generation(), &self.parts.config));
        }
        let judged = sources.file.with(&next, &sources.store).await;
        let document = sources.store.path();
        let config = judged.map_err(|Unfit { problems, read }| mistakes(problems, &read, &document))?;
        let problems = self.beside_the_machine(&config, &document);
        if !problems.is_empty() {
            return Err(mistakes(problems, &next, &document));
        }
        if mode == Mode::DryRun {
            return Ok(done(self.generation(), &config));
        }
        let desired = self.desired(&config);
        let compiled = self.compile(&desired).map_err(|error| {
            Refusal::Mistakes(vec![Mistake {
                field: String::new(),
                detail: error.to_string(),
                remedy: "declare less".to_owned(),
            }])
        })?;
        let (store, kept) = (self.parts.sources.store.clone(), Arc::clone(&next));
        let written = tokio::task::spawn_blocking(move || store.write(&kept)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Refusal::Disk(error.to_string())),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
        self.parts.sources.documents.declared = next;
        self.install(Arc::new(config), desired, compiled);
        self.plug();
        if whole {
            self.forget_set_aside();
        }
        Ok(done(self.generation(), &self.parts.config))
    }

    /// Whoever has declared everything anew misses nothing that was put aside.
    fn forget_set_aside(&self) {
        let control = &self.parts.state.control;
        control.store(Arc::new(ControlState { set_aside: None, ..(**control.load()).clone() }));
    }

    /// What of the declared resources does not fit this machine. What else does not fit is not for the API to
    /// judge: an uplink that is away for a moment must not keep pods from being attached.
    fn beside_the_machine(&self, config: &Config, document: &Path) -> Vec<Problem> {
        let facts = super::host_facts(&self.facts.borrow(), &std::collections::BTreeSet::new());
        declared_problems(config, &facts, document)
    }
}

/// Those problems beside the machine that lie in the declared document.
pub(super) fn declared_problems(config: &Config, facts: &HostFacts, document: &Path) -> Vec<Problem> {
    let mut problems = check_against(config, facts);
    problems.retain(|problem| Path::new(&*problem.place.file) == document);
    problems
}

/// Refuses to change what is in the operator's file.
fn refuse_file(documents: &Documents, change: &Change) -> Result<(), Refusal> {
    let place = |key: &Key| Some((key.clone(), documents.file.place(documents.file.get(key)?)));
    let clashes: Vec<_> = match change {
        Change::Replace { document, .. } => document.iter().filter_map(|(key, _)| place(key)).collect(),
        other => other.key().and_then(place).into_iter().collect(),
    };
    if clashes.is_empty() { Ok(()) } else { Err(Refusal::InFile(clashes)) }
}

/// The reader's words in those of the API.
fn mistakes(problems: Vec<Problem>, declared: &Declared, document: &Path) -> Refusal {
    let (fields, total) = (Fields::of(declared), problems.len());
    let mistake = |problem: Problem| {
        let Problem { place, what, remedy } = problem;
        if Path::new(&*place.file) == document {
            return Mistake { field: fields.shown(&place.key), detail: what, remedy };
        }
        // The file was sound before: it is the declared resource that gets in its way.
        Mistake {
            field: format!("{}:{}", place.file, place.line),
            detail: format!("{}: {what}", place.key),
            remedy: "declare something else, or change the file first and reload it".to_owned(),
        }
    };
    let mut mistakes: Vec<_> = problems.into_iter().take(MOST_MISTAKES).map(mistake).collect();
    if total > MOST_MISTAKES {
        mistakes.push(Mistake {
            field: String::new(),
            detail: format!("there are {} more mistakes", total - MOST_MISTAKES),
            remedy: "mend these first".to_owned(),
        });
    }
    Refusal::Mistakes(mistakes)
}
