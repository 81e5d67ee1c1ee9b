//! Reading the daemon's documents. A key that is not there is an error: a made-up cell would lie.

use serde_json::Value;

/// What a document lacks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    /// No such value.
    #[error("it has no `{0}`")]
    Missing(String),
    /// The value is of another kind.
    #[error("its `{0}` is no {1}")]
    Kind(String, &'static str),
}

/// The value at a JSON pointer (RFC 6901), such as `/traffic/rx`.
pub(crate) fn at<'v>(of: &'v Value, pointer: &str) -> Result<&'v Value, Mismatch> {
    of.pointer(pointer).ok_or_else(|| Mismatch::Missing(pointer.to_owned()))
}

/// The list at a JSON pointer; `""` is the document itself.
pub(crate) fn list<'v>(of: &'v Value, pointer: &str) -> Result<&'v [Value], Mismatch> {
    let found = at(of, pointer)?.as_array();
    found.map(Vec::as_slice).ok_or_else(|| Mismatch::Kind(named(pointer), "list"))
}

/// The number at a JSON pointer.
pub(crate) fn number(of: &Value, pointer: &str) -> Result<u64, Mismatch> {
    at(of, pointer)?.as_u64().ok_or_else(|| Mismatch::Kind(named(pointer), "number"))
}

/// The value at a JSON pointer as shown: `-` for none, lists with commas.
pub(crate) fn cell(of: &Value, pointer: &str) -> Result<String, Mismatch> {
    shown(at(of, pointer)?, pointer)
}

fn shown(value: &Value, pointer: &str) -> Result<String, Mismatch> {
    match value {
        Value::Null => Ok("-".to_owned()),
        Value::Bool(true) => Ok("yes".to_owned()),
        Value::Bool(false) => Ok("no".to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(list) if list.is_empty() => Ok("-".to_owned()),
        Value::Array(list) => {
            let cells: Result<Vec<_>, _> = list.iter().map(|value| shown(value, pointer)).collect();
            Ok(cells?.join(","))
        }
        Value::Object(_) => Err(Mismatch::Kind(named(pointer), "single value")),
    }
}

/// `up`, or `down` with the reason.
pub(crate) fn state(of: &Value) -> Result<String, Mismatch> {
    match cell(of, "/state")?.as_str() {
        "down" => Ok(format!("down: {}", cell(of, "/reason")?)),
        other => Ok(other.to_owned()),
    }
}

/// Where a next hop or a label leads.
pub(crate) fn target(of: &Value) -> Result<String, Mismatch> {
    match cell(of, "/kind")?.as_str() {
        "vif" => Ok(format!("vif {}", cell(of, "/vif")?)),
        "tunnel" => Ok(format!("{} label {}", cell(of, "/node")?, cell(of, "/label")?)),
        "vrf" => Ok(format!("vrf {}", cell(of, "/vrf")?)),
        "broadcast" => Ok(format!("vrf {}, broadcast", cell(of, "/vrf")?)),
        other => Ok(other.to_owned()),
    }
}

/// `tcp/80->8080`, or `udp/53` where the target port is the same; several with commas.
pub(crate) fn service_ports(of: &Value) -> Result<String, Mismatch> {
    let port = |port: &Value| {
        let (from, to) = (cell(port, "/port")?, cell(port, "/target_port")?);
        let target = if from == to { String::new() } else { format!("->{to}") };
        Ok(format!("{}/{from}{target}", cell(port, "/protocol")?))
    };
    let ports: Result<Vec<String>, Mismatch> = list(of, "/ports")?.iter().map(port).collect();
    Ok(ports?.join(","))
}

/// Seconds as the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

fn named(pointer: &str) -> String {
    if pointer.is_empty() { "document".to_owned() } else { pointer.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_there_is_an_error() {
        let document = json!({ "a": { "b": [1, "x"] }, "none": null });
        assert_eq!(cell(&document, "/a/b"), Ok("1,x".to_owned()));
        assert_eq!(cell(&document, "/none"), Ok("-".to_owned()));
        assert_eq!(cell(&document, "/c"), Err(Mismatch::Missing("/c".to_owned())));
        assert_eq!(cell(&document, "/a"), Err(Mismatch::Kind("/a".to_owned(), "single value")));
        assert_eq!(list(&document, ""), Err(Mismatch::Kind("document".to_owned(), "list")));
        assert_eq!(number(&document, "/none"), Err(Mismatch::Kind("/none".to_owned(), "number")));
    }

    #[test]
    fn spans_have_two_units() {
        let table = [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m"), (268_411, "3d2h")];
        for (seconds, expected) in table {
            assert_eq!(span(seconds), expected);
        }
    }
}
