//! What of a stored document still fits the file.

use super::{Declared, Fields, Key};
use crate::config::{Config, Problem, Problems, Source, parse_all};

/// A stored document, or what is left of it.
#[derive(Debug)]
pub struct Salvaged {
    /// The file and the document together.
    pub config: Config,
    /// The document.
    pub declared: Declared,
    /// What is wrong, one mistake each, and what was left out; empty when nothing was.
    pub lost: Vec<String>,
}

/// Reads a stored document beside a sound file. Resources that do not fit are left out, and those that refer to
/// them; a document that cannot be read at all is left out as a whole. `judge` has more to say about what has
/// been read.
///
/// # Errors
/// What is wrong with the file alone.
pub fn salvage(
    file: Source<'_>,
    stored: Source<'_>,
    judge: impl Fn(&Config) -> Vec<Problem>,
) -> Result<Salvaged, Problems> {
    let read = |text: &str| match parse_all(file, Some(Source { text, ..stored })) {
        Ok(config) => match judge(&config) {
            problems if problems.is_empty() => Ok(config),
            problems => Err(problems),
        },
        Err(Problems(problems)) => Err(problems),
    };
    let mut declared = Declared::from_toml(stored.text);
    let mut lost = match read(stored.text) {
        Ok(config) => {
            declared.note_routes(&config);
            return Ok(Salvaged { config, declared, lost: Vec::new() });
        }
        Err(problems) => problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
    };
    loop {
        let problems = match read(&declared.to_toml()) {
            Ok(config) => return Ok(Salvaged { config, declared, lost }),
            Err(problems) => problems,
        };
        let fields = Fields::of(&declared);
        let mut unfit: Vec<Key> = problems
            .iter()
            .filter(|problem| *problem.place.file == *stored.name)
            .filter_map(|problem| fields.resource(&problem.place.key))
            .map(|(key, _)| key.clone())
            .collect();
        unfit.dedup();
        if unfit.is_empty() {
            lost.push("all of it is left out".to_owned());
            return Ok(Salvaged { config: parse_all(file, None)?, declared: Declared::default(), lost });
        }
        for key in unfit {
            lost.push(format!("{key} is left out"));
            declared.remove(&key);
        }
    }
}
