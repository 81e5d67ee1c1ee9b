//! What is wrong with a configuration, and the list in which it is gathered.

use core::cell::{Cell, RefCell};
use core::fmt;
use std::sync::Arc;

use super::place::{Lines, Place, Written};
use super::sources::Source;

/// One mistake: where it is, what is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.place, self.what, self.remedy)
    }
}

/// All mistakes of one configuration, in the order of its text; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Proof that a problem has been reported. Only [`Findings::add`] makes one, so a reader cannot
/// give up without saying why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// What is wrong with the sources of one configuration, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    doubt: Cell<bool>,
}

impl Findings {
    pub(super) fn add(&self, place: &Place, what: impl fmt::Display, remedy: impl fmt::Display) -> Reported {
        let problem = Problem { place: place.clone(), what: what.to_string(), remedy: remedy.to_string() };
        self.problems.borrow_mut().push(problem);
        Reported(())
    }

    /// Notes that something is wrong with what was not read now.
    pub(super) fn doubt(&self) -> Reported {
        self.doubt.set(true);
        Reported(())
    }

    /// Whether [`Findings::doubt`] was called.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.get()
    }

    /// `value` if nothing was reported, else the problems: those of `first` before those of other sources.
    pub(super) fn finish<T>(&self, value: Result<T, Reported>, first: &str) -> Result<T, Problems> {
        let mut found = self.problems.take();
        match value {
            Ok(value) if found.is_empty() => Ok(value),
            Ok(_) | Err(Reported(())) => {
                found.sort_by_key(|Problem { place, .. }| (&*place.file != first, place.line, place.column));
                Err(Problems(found))
            }
        }
    }
}

/// Who has written a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The operator, who can be told of every name that leads nowhere.
    Operator,
    /// Programs, which speak of pods before they come and after they have gone.
    Programs,
}

/// One source being read: it knows the places of its text.
#[derive(Debug)]
pub(super) struct Report<'s> {
    file: Arc<str>,
    pub(super) author: Author,
    written: Written,
    lines: Lines<'s>,
    findings: &'s Findings,
}

impl<'s> Report<'s> {
    pub(super) fn new(source: Source<'s>, author: Author, findings: &'s Findings) -> Self {
        let lines = Lines::new(source.text);
        Self { file: source.name.into(), author, written: source.written, lines, findings }
    }

    /// The place of a byte offset.
    pub(super) fn place(&self, offset: usize, key: String) -> Place {
        let (line, column) = self.lines.position(offset);
        Place { file: self.file.clone(), written: self.written, line, column, key }
    }

    pub(super) fn add(&self, place: &Place, what: impl fmt::Display, remedy: impl fmt::Display) -> Reported {
        self.findings.add(place, what, remedy)
    }
}

/// Text from the file as shown in a message: escaped and cut to a readable length.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head:?}...")
}

/// ` (did you mean "blue"?)` when a candidate is close to `word`, else nothing.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    const LONGEST: usize = 64;
    if word.chars().count() > LONGEST {
        return String::new();
    }
    let tolerated = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map_or_else(String::new, |(_, nearest)| format!(" (did you mean {}?)", quote(nearest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let names = ["blue", "green"];
        assert_eq!(did_you_mean("bleu", names), " (did you mean \"blue\"?)");
        assert_eq!(did_you_mean("gren", names), " (did you mean \"green\"?)");
        assert_eq!(did_you_mean("red", names), "");
        assert_eq!(did_you_mean("", names), "");
        assert_eq!(did_you_mean(&"b".repeat(65), names), "");
    }

    #[test]
    fn quotes_escape_and_cut() {
        assert_eq!(quote("a\n\"b"), r#""a\n\"b""#);
        assert_eq!(quote(&"x".repeat(61)), format!("\"{}\"...", "x".repeat(60)));
    }
}
