//! Documents that the operator has written, as TOML or JSON.

use std::io::Read as _;

use serde_json::Value;

use crate::failure::Failure;

/// More than the daemon takes.
const MOST_BYTES: u64 = 64 << 20;

/// Reads a document; `-` is standard input. What begins with a brace is JSON, everything else TOML.
///
/// # Errors
/// [`Failure::BadFile`]
pub(crate) fn read(path: &str) -> Result<Value, Failure> {
    let bad = |reason: String| Failure::BadFile { path: path.to_owned(), reason };
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().take(MOST_BYTES).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)),
    };
    read.map_err(|error| bad(format!("cannot be read: {error}")))?;
    parse(&text).map_err(bad)
}

fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"));
    }
    toml::from_str(text).map_err(|error| format!("is no TOML: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn toml_and_json_give_the_same_document() {
        let expected = json!({ "vrf": [{ "name": "blue", "label": 100 }] });
        assert_eq!(parse("[[vrf]]\nname = \"blue\"\nlabel = 100\n"), Ok(expected.clone()));
        assert_eq!(parse(" {\"vrf\": [{\"name\": \"blue\", \"label\": 100}]}"), Ok(expected));
        assert_eq!(parse(""), Ok(json!({})));
        for (text, wrong) in
            [("[[vrf]", "is no TOML: TOML parse error at line 1, column 7"), ("{", "is no JSON: EOF")]
        {
            assert!(parse(text).unwrap_err().starts_with(wrong), "{:?}", parse(text));
        }
    }
}
