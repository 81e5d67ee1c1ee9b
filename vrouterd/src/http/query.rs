//! The part of a URL behind the question mark.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::text::encode;

/// Parameters of a request; each at most once, an empty one counts as absent (as forms send them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(BTreeMap<String, String>);

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Html,
    /// For programs.
    Json,
}

/// Parameters that every page knows.
const COMMON: [&str; 2] = ["format", "refresh"];
/// Seconds between reloads that may be asked for.
const REFRESH: std::ops::RangeInclusive<u16> = 1..=3600;

impl Query {
    /// Reads `raw`; refuses parameters that are neither common nor among `known`.
    pub(crate) fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            if !COMMON.contains(&key.as_str()) && !known.contains(&key.as_str()) {
                let all: Vec<_> = known.iter().chain(&COMMON).copied().collect();
                return Err(Problem::bad_request(format!(
                    "Unknown parameter {key:?}; known: {}.",
                    all.join(", ")
                )));
            }
            if value.is_empty() {
                continue;
            }
            if parameters.insert(key.clone(), value).is_some() {
                return Err(Problem::bad_request(format!("Parameter {key:?} is given twice.")));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter as text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A parameter as a value.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| {
            text.parse()
                .map_err(|error| Problem::bad_request(format!("Parameter {key:?} is {text:?}: {error}.")))
        };
        self.text(key).map(read).transpose()
    }

    /// How the page shall be written.
    pub(super) fn format(&self) -> Result<Format, Problem> {
        match self.text("format") {
            None | Some("html") => Ok(Format::Html),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(Problem::bad_request(format!("format={other:?}: write html or json."))),
        }
    }

    /// Seconds after which the page shall load itself again.
    pub(super) fn refresh(&self) -> Result<Option<u16>, Problem> {
        match self.value("refresh")? {
            Some(seconds) if !REFRESH.contains(&seconds) => {
                Err(Problem::bad_request(format!("refresh={seconds}: write seconds from 1 to 3600.")))
            }
            seconds => Ok(seconds),
        }
    }

    /// A relative link to the same page with one parameter changed or, with `None`, taken away.
    pub(super) fn link(&self, key: &str, value: Option<&str>) -> String {
        let mut parameters: BTreeMap<&str, &str> =
            self.0.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        match value {
            Some(value) => parameters.insert(key, value),
            None => parameters.remove(key),
        };
        let pairs: Vec<_> = parameters.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        format!("?{}", pairs.join("&"))
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::bad_request("The query is not UTF-8.".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_absent() {
        let query = Query::parse(Some("vif=a%20b%26c+d&vrf=&format=json"), &["vif", "vrf"]).unwrap();
        assert_eq!(query.text("vif"), Some("a b&c d"));
        assert_eq!(query.text("vrf"), None);
        assert_eq!(query.format().unwrap(), Format::Json);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let query = Query::parse(Some("vif=a%26b&refresh=5"), &["vif"]).unwrap();
        assert_eq!(query.link("format", Some("json")), "?format=json&refresh=5&vif=a%26b");
        assert_eq!(query.link("refresh", None), "?vif=a%26b");
    }

    #[test]
    fn mistakes_are_refused() {
        for bad in ["vfi=x", "vif=a&vif=b", "vif=%ff"] {
            assert!(Query::parse(Some(bad), &["vif"]).is_err(), "{bad}");
        }
        for bad in ["refresh=0", "refresh=3601", "refresh=x", "refresh=-1"] {
            assert!(Query::parse(Some(bad), &[]).unwrap().refresh().is_err(), "{bad}");
        }
        assert!(Query::parse(Some("format=xml"), &[]).unwrap().format().is_err());
    }
}
