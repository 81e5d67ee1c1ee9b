//! Paths and queries of the daemon, percent-encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One parameter behind the question mark; left out when there is no value.
pub(crate) type Parameter = (&'static str, Option<String>);

/// A page that shows what is, as JSON.
pub(crate) fn page(path: &str, parameters: &[Parameter]) -> String {
    let format = ("format", Some("json".to_owned()));
    of_v1(path, &[std::slice::from_ref(&format), parameters].concat())
}

/// A path of what is asked for (`/v1/...`).
pub(crate) fn of_v1(path: &str, parameters: &[Parameter]) -> String {
    let given = parameters.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let pairs: Vec<String> = given.map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A name as part of a path.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded_and_absent_ones_left_out() {
        assert_eq!(page("/vifs", &[]), "/vifs?format=json");
        let parameters =
            [("vrf", Some("a&b".to_owned())), ("vif", None), ("addr", Some("fd00::1".to_owned()))];
        assert_eq!(page("/flows", &parameters), "/flows?format=json&vrf=a%26b&addr=fd00%3A%3A1");
        assert_eq!(of_v1("/v1/flows", &parameters[1..2]), "/v1/flows");
        assert_eq!(encode("a/b?c#&é"), "a%2Fb%3Fc%23%26%C3%A9");
    }
}
