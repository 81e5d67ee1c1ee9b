//! A configuration of one or two texts: the operator's file, and what programs have declared.
//!
//! The declared document has the same grammar as the resource sections of the file, and may refer to what the
//! file has. All checks reach across both.

use toml::de::DeTable;

use super::model::Config;
use super::place::Written;
use super::problem::{Author, Findings, Problems, Report, Reported};
use super::section::Section;

/// The grammar of declared documents that this reader knows.
pub const DOCUMENT_VERSION: u16 = 1;

/// A text that a configuration is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// How messages name it.
    pub name: &'t str,
    /// TOML.
    pub text: &'t str,
    /// Whether somebody can look at its lines.
    pub written: Written,
}

impl<'t> Source<'t> {
    /// The text of a file.
    pub fn on_disk(name: &'t str, text: &'t str) -> Self {
        Self { name, text, written: Written::OnDisk }
    }

    /// A text that is made from what programs have said.
    pub fn in_memory(name: &'t str, text: &'t str) -> Self {
        Self { name, text, written: Written::InMemory }
    }
}

/// Judges a file together with a declared document.
///
/// # Errors
///
/// All mistakes: those of the file in the order of its text, then those of the document.
pub fn parse_all(file: Source<'_>, declared: Option<Source<'_>>) -> Result<Config, Problems> {
    let findings = Findings::default();
    let file_report = Report::new(file, Author::Operator, &findings);
    let file_document = document(&file_report, file.text);
    let declared_report = declared.map(|source| Report::new(source, Author::Programs, &findings));
    let declared_document =
        declared.zip(declared_report.as_ref()).map(|(source, report)| document(report, source.text));
    let roots = |file: &'_ DeTable<'_>| -> Result<Config, Reported> {
        let declared = match (&declared_document, &declared_report) {
            (Some(Ok(table)), Some(report)) => Some(Section::root(report, table)),
            (Some(Err(reported)), _) => return Err(*reported),
            _ => None,
        };
        super::read(Roots { file: Section::root(&file_report, file), declared }, &findings)
    };
    let config = file_document.as_ref().map_err(|reported| *reported).and_then(roots);
    findings.finish(config, file.name)
}

fn document<'t>(report: &Report<'_>, text: &'t str) -> Result<DeTable<'t>, Reported> {
    DeTable::parse(text).map(toml::Spanned::into_inner).map_err(|error| {
        let place = report.place(error.span().map_or(0, |span| span.start), String::new());
        report.add(&place, error.message(), "correct the TOML syntax")
    })
}

/// The documents of one configuration.
pub(super) struct Roots<'a> {
    pub(super) file: Section<'a>,
    pub(super) declared: Option<Section<'a>>,
}

impl<'a> Roots<'a> {
    /// Reads every `[[key]]` table of the file, then those of the declared document.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Section<'a>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        let list = self.file.tables(key, &mut read);
        let declared = self.declared.as_mut().map(|root| root.tables(key, &mut read));
        let mut list = list?;
        list.extend(declared.transpose()?.unwrap_or_default());
        Ok(list)
    }

    /// Refuses the keys that no reader asked for.
    pub(super) fn finish(&mut self) {
        self.file.finish();
        if let Some(declared) = &mut self.declared {
            let version = |item: &super::section::Item<'_>| {
                item.number(u64::from(DOCUMENT_VERSION)..=u64::from(DOCUMENT_VERSION), "")
            };
            // What is wrong with it has been reported by the reader.
            let _ = declared.required("version", "version = 1", version);
            declared.finish();
        }
    }

    /// The document that was read last.
    pub(super) fn last(&self) -> &Section<'a> {
        self.declared.as_ref().unwrap_or(&self.file)
    }
}
