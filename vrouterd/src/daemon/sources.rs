//! The two texts that the configuration is made of: the operator's file, and what programs have declared.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::DaemonError;
use crate::api::Documents;
use crate::config::{self, Config, ConfigError, Problem, Source};
use crate::declared::{Declared, FileResources, Salvaged, Store, Unfit, salvage};

/// The operator's file as it was read last, and sound by itself: it may not lean on what programs declare.
#[derive(Clone, Debug)]
pub(super) struct OperatorFile {
    path: PathBuf,
    text: Arc<str>,
}

/// What is asked for, and where it is kept.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) file: OperatorFile,
    pub(super) documents: Documents,
    pub(super) store: Store,
}

/// What a start finds.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) sources: Sources,
    pub(super) config: Config,
    /// Why not all that was declared is in force, if it is not.
    pub(super) set_aside: Option<String>,
}

impl OperatorFile {
    /// Reads and judges the file alone.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(super) fn read(path: PathBuf) -> Result<(Self, Config), ConfigError> {
        let text = config::read_text(&path)?;
        let config = config::parse(&path.display().to_string(), &text)?;
        Ok((Self { path, text: text.into() }, config))
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The file together with a document that is, or will be, at `store`; on a thread of its own, as either may
    /// be long.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(super) async fn with(&self, declared: &Arc<Declared>, store: &Store) -> Result<Config, Unfit> {
        let (file, declared, document) = (self.clone(), Arc::clone(declared), store.path());
        let judged = tokio::task::spawn_blocking(move || {
            let (name, document) = (file.path.display().to_string(), document.display().to_string());
            declared.judge(Source::on_disk(&name, &file.text), &document)
        });
        judged.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

impl Sources {
    /// Takes another version of the file.
    pub(super) fn take_file(&mut self, file: OperatorFile) {
        self.documents.file = Arc::new(FileResources::of(&file.path, &file.text));
        self.file = file;
    }

    /// Takes up what an earlier daemon has kept. What does not fit any more is put aside with a warning; only a
    /// file that is wrong by itself is an error.
    ///
    /// # Errors
    /// [`DaemonError::Config`].
    pub(super) fn restore(
        file: OperatorFile,
        config: Config,
        judge: impl Fn(&Config) -> Vec<Problem>,
    ) -> Result<Restored, DaemonError> {
        let store = Store::in_directory(&config.node.state_dir);
        let resources = Arc::new(FileResources::of(&file.path, &file.text));
        let mut sources =
            Sources { file, documents: Documents { file: resources, declared: Arc::default() }, store };
        if !sources.store.path().exists() {
            return Ok(Restored { sources, config, set_aside: None });
        }
        let (name, stored) = (sources.file.path.display().to_string(), sources.store.path());
        let source = Source::on_disk(&name, &sources.file.text);
        let document = stored.display().to_string();
        let salvaged = match config::read_text(&stored) {
            Ok(text) => {
                let document = Source::on_disk(&document, &text);
                salvage(source, document, judge).map_err(ConfigError::from)?
            }
            Err(error) => Salvaged { config, declared: Declared::default(), lost: vec![error.to_string()] },
        };
        let set_aside = sources.put_aside(&salvaged);
        sources.documents.declared = Arc::new(salvaged.declared);
        Ok(Restored { sources, config: salvaged.config, set_aside })
    }

    /// Keeps the stored file for the operator when not all of it is in force, and says why.
    fn put_aside(&self, salvaged: &Salvaged) -> Option<String> {
        if salvaged.lost.is_empty() {
            return None;
        }
        let kept = match self.store.set_aside() {
            Ok(path) => format!("it is kept as {}", path.display()),
            Err(error) => error.to_string(),
        };
        let written = self.store.write(&salvaged.declared).err().map(|error| format!("; {error}"));
        let lost = salvaged.lost.join("; ");
        let text = format!(
            "Not all of the declared state is in force ({kept}): {lost}{}",
            written.unwrap_or_default()
        );
        tracing::warn!("{text}");
        Some(text)
    }
}
