//! A declared document judged beside the file: what has changed is read, the many routes that have not are taken as
//! they were.

use dataplane::desired::Route;

use super::{Declared, Key, Kind};
use crate::config::{Config, Misfit, Problem, Problems, Source, parse_all, parse_with_routes};

/// A document that does not do.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// Why; never empty.
    pub problems: Vec<Problem>,
    /// The document in which their paths lead.
    pub read: Declared,
}

impl Declared {
    /// Judges the document, which messages call `name`, beside a file. The outcome is that of [`parse_all`].
    ///
    /// # Errors
    /// [`Unfit`], with all mistakes.
    pub fn judge(&self, file: Source<'_>, name: &str) -> Result<Config, Unfit> {
        let config = match self.judge_new(file, name) {
            Some(judged) => judged?,
            None => self.judge_all(file, name)?,
        };
        self.note_routes(&config);
        Ok(config)
    }

    fn judge_all(&self, file: Source<'_>, name: &str) -> Result<Config, Unfit> {
        let text = self.to_toml();
        let judged = parse_all(file, Some(Source::in_memory(name, &text)));
        judged.map_err(|Problems(problems)| Unfit { problems, read: self.clone() })
    }

    /// Reads all but the routes that have been read. Nothing if one of those has a part in a mistake: then all are
    /// to be read, so that each mistake is told where it is.
    fn judge_new(&self, file: Source<'_>, name: &str) -> Option<Result<Config, Unfit>> {
        let routes: Vec<Option<&Route>> =
            self.resources(Kind::Route).map(|(_, resource)| resource.route.get()).collect();
        if routes.iter().all(Option::is_none) {
            return None;
        }
        let unread = self.0.iter().filter(|(_, resource)| resource.route.get().is_none());
        let read = Self(unread.map(|(key, resource)| (key.clone(), resource.clone())).collect());
        let text = read.to_toml();
        match parse_with_routes(file, Source::in_memory(name, &text), &routes) {
            Ok(config) => Some(Ok(config)),
            Err(Misfit::New(Problems(problems))) => Some(Err(Unfit { problems, read })),
            Err(Misfit::Known) => None,
        }
    }

    /// Keeps what the reader has made of the routes. The last of `config` are those of the document, in its order.
    pub(super) fn note_routes(&self, config: &Config) {
        let resources = self.resources(Kind::Route);
        let first = config.routes.len().saturating_sub(self.of(Kind::Route).count());
        for ((key, resource), route) in resources.zip(config.routes.iter().skip(first)) {
            if resource.route.get().is_none() && *key == Key::route(route.vrf.as_str(), route.prefix) {
                let _ = resource.route.set(route.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
