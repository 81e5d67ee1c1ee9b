//! A configuration of one or two texts: the operator's file, and what programs have declared.
//!
//! The declared document has the same grammar as the resource sections of the file, and may refer to what the
//! file has. All checks reach across both.

use dataplane::desired::Route;
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

/// Why there is no configuration when routes are not read again.
#[derive(Debug)]
pub enum Misfit {
    /// Mistakes in what was read; those are all.
    New(Problems),
    /// A route that was read before has a part in a mistake: all are to be read.
    Known,
}

/// Judges a file together with a declared document.
///
/// # Errors
///
/// All mistakes: those of the file in the order of its text, then those of the document.
pub fn parse_all(file: Source<'_>, declared: Option<Source<'_>>) -> Result<Config, Problems> {
    let findings = Findings::default();
    let config = parse(file, declared, &findings, &[]);
    findings.finish(config, file.name)
}

/// Judges a file together with a declared document that lacks routes which were read before. `routes` has a place for
/// every declared route in its order: the known ones, and none for those that the document has.
///
/// # Errors
///
/// [`Misfit`].
pub fn parse_with_routes(
    file: Source<'_>,
    declared: Source<'_>,
    routes: &[Option<&Route>],
) -> Result<Config, Misfit> {
    let findings = Findings::default();
    let config = parse(file, Some(declared), &findings, routes);
    match findings.is_in_doubt() {
        true => Err(Misfit::Known),
        false => findings.finish(config, file.name).map_err(Misfit::New),
    }
}

fn parse(
    file: Source<'_>,
    declared: Option<Source<'_>>,
    findings: &Findings,
    routes: &[Option<&Route>],
) -> Result<Config, Reported> {
    let file_report = Report::new(file, Author::Operator, findings);
    let file_document = document(&file_report, file.text);
    let declared_report = declared.map(|source| Report::new(source, Author::Programs, findings));
    let declared_document =
        declared.zip(declared_report.as_ref()).map(|(source, report)| document(report, source.text));
    // Both have been read by now, so that the mistakes of both are told.
    let (file_document, declared_document) = (file_document?, declared_document.transpose()?);
    let declared = declared_report.as_ref().zip(declared_document.as_ref());
    let declared = declared.map(|(report, table)| Section::root(report, table));
    let roots = Roots { file: Section::root(&file_report, &file_document), declared };
    super::read(roots, findings, routes)
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
