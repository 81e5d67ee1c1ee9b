//! Reading TOML tables key by key.
//!
//! Values are read from the parsed document rather than through `#[derive(Deserialize)]`, because
//! a derived reader stops at its first mistake: here each table is read to its end, so one run
//! names every mistake of the file with its place.

use core::fmt;
use core::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{At, Place};
use super::problem::{Author, Report, Reported, did_you_mean, quote};

/// A value of the document with its place.
pub(super) struct Item<'a> {
    report: &'a Report<'a>,
    value: &'a DeValue<'a>,
    pub(super) place: Place,
}

impl<'a> Item<'a> {
    fn new(report: &'a Report<'a>, value: &'a Spanned<DeValue<'a>>, key: String) -> Self {
        Self { report, value: value.get_ref(), place: report.place(value.span().start, key) }
    }

    /// Who has written this value.
    pub(super) fn author(&self) -> Author {
        self.report.author
    }

    /// Reports a mistake in this value.
    pub(super) fn wrong(&self, what: impl fmt::Display, remedy: impl fmt::Display) -> Reported {
        self.report.add(&self.place, what, remedy)
    }

    fn wrong_type(&self, wanted: &str, remedy: impl fmt::Display) -> Reported {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format_args!("{found} is given where {wanted} is needed"), remedy)
    }

    /// The value if it is a string, for keys that take a word or something else.
    pub(super) fn word(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(super) fn text(&self) -> Result<&'a str, Reported> {
        self.text_or("put the value in double quotes")
    }

    /// The text; `remedy` says what to write when it is something else.
    pub(super) fn text_or(&self, remedy: &str) -> Result<&'a str, Reported> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string", remedy))
    }

    /// A whole number of `allowed`; `unit` is shown after the limits, such as " seconds" or "".
    pub(super) fn number(&self, allowed: RangeInclusive<u64>, unit: &str) -> Result<u64, Reported> {
        let remedy = format!("write a number from {} to {}{unit}", allowed.start(), allowed.end());
        let Some(integer) = self.value.as_integer() else {
            return Err(self.wrong_type("a whole number", remedy));
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if allowed.contains(&number) => Ok(number),
            _ => Err(self.wrong(format_args!("{integer} is out of range"), remedy)),
        }
    }

    /// A whole number from 0 to 255.
    pub(super) fn byte(&self, remedy: &str) -> Result<u8, Reported> {
        let Some(integer) = self.value.as_integer() else {
            return Err(self.wrong_type("a whole number", remedy));
        };
        u8::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| self.wrong(format_args!("{integer} is out of range"), remedy))
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Result<Vec<Item<'a>>, Reported> {
        let Some(array) = self.value.as_array() else {
            return Err(self.wrong_type("a list", "put the values in brackets: [ ... ]"));
        };
        let element = |(index, value)| Item::new(self.report, value, format!("{}[{index}]", self.place.key));
        Ok(array.iter().enumerate().map(element).collect())
    }

    pub(super) fn section(&self) -> Result<Section<'a>, Reported> {
        let Some(table) = self.value.as_table() else {
            return Err(self.wrong_type("a table", "write { key = value, ... } or a [section]"));
        };
        Ok(Section { report: self.report, table, place: self.place.clone(), known: Vec::new() })
    }

    /// Reads all elements of a list, even after one that is wrong.
    pub(super) fn list<T>(
        &self,
        mut read: impl FnMut(&Item<'a>) -> Result<T, Reported>,
    ) -> Result<Vec<At<T>>, Reported> {
        let elements = self.elements()?;
        let read_all: Vec<_> = elements
            .into_iter()
            .map(|item| read(&item).map(|value| At { value, place: item.place }))
            .collect();
        read_all.into_iter().collect()
    }
}

/// A table of the document, read key by key; [`Section::finish`] then refuses the keys nobody
/// asked for.
pub(super) struct Section<'a> {
    report: &'a Report<'a>,
    table: &'a DeTable<'a>,
    pub(super) place: Place,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole document.
    pub(super) fn root(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Self {
        Self { report, table, place: report.place(0, String::new()), known: Vec::new() }
    }

    /// An empty table in place of an optional one that is not there, so that defaults are
    /// written down once.
    pub(super) fn absent(report: &'a Report<'a>, empty: &'a DeTable<'a>, key: &str) -> Self {
        Self { report, table: empty, place: report.place(0, key.to_owned()), known: Vec::new() }
    }

    pub(super) fn wrong(&self, what: impl fmt::Display, remedy: impl fmt::Display) -> Reported {
        self.report.add(&self.place, what, remedy)
    }

    /// Reports a mistake in a value of this table that has been read already.
    pub(super) fn wrong_at(
        &self,
        place: &Place,
        what: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Reported {
        self.report.add(place, what, remedy)
    }

    fn path(&self, key: &str) -> String {
        if self.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.key) }
    }

    /// The value of a key, if it is there.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        Some(Item::new(self.report, value, self.path(key)))
    }

    /// A key that must be there; `example` shows how to write it.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&Item<'a>) -> Result<T, Reported>,
    ) -> Result<At<T>, Reported> {
        match self.item(key) {
            Some(item) => Ok(At { value: read(&item)?, place: item.place }),
            None => {
                Err(self.wrong(format_args!("the key `{key}` is missing"), format_args!("add {example}")))
            }
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Item<'a>) -> Result<T, Reported>,
    ) -> Result<Option<At<T>>, Reported> {
        let Some(item) = self.item(key) else { return Ok(None) };
        Ok(Some(At { value: read(&item)?, place: item.place }))
    }

    pub(super) fn or_default<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Item<'a>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        Ok(self.optional(key, read)?.map_or(default, |at| at.value))
    }

    /// A section in which every key has a default, empty when it is not there.
    pub(super) fn section_or<'e>(
        &mut self,
        key: &'static str,
        empty: &'e DeTable<'e>,
    ) -> Result<Section<'e>, Reported>
    where
        'a: 'e,
    {
        match self.item(key) {
            Some(item) => item.section(),
            None => Ok(Section::absent(self.report, empty, key)),
        }
    }

    /// Reads every `[[key]]` table; none is an empty list.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Section<'a>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        let Some(item) = self.item(key) else { return Ok(Vec::new()) };
        if item.value.is_table() {
            let remedy = format_args!("write [[{key}]] with two brackets, once for each");
            return Err(
                item.wrong(format_args!("there can be several, but this is a single [{key}]"), remedy)
            );
        }
        let read_all = item.list(|element| read(element.section()?))?;
        Ok(read_all.into_iter().map(|at| at.value).collect())
    }

    /// Reports the keys that no reader asked for.
    pub(super) fn finish(&self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = self.report.place(key.span().start, self.place.key.clone());
            let what =
                format!("unknown key {}{}", quote(name), did_you_mean(name, self.known.iter().copied()));
            self.report.add(&place, what, format_args!("remove it, or use one of {}", self.known.join(", ")));
        }
    }
}
