//! What a change did.

use serde_json::Value;

use super::vif;
use crate::value::{Mismatch, at, cell, list};

/// A vif that was attached.
pub(crate) fn attached(document: &Value) -> Result<String, Mismatch> {
    let (effect, generation) = (cell(document, "/effect")?, cell(document, "/generation")?);
    Ok(format!("{effect} in generation {generation}\n\n{}", vif::one(at(document, "/vif")?)?))
}

/// What another document changes, or would.
pub(crate) fn changes(document: &Value) -> Result<String, Mismatch> {
    let mut text = String::new();
    for changed in list(document, "/changed")? {
        text.push_str(&change(changed)?);
        text.push('\n');
    }
    Ok(if text.is_empty() { "no difference\n".to_owned() } else { text })
}

/// `+ service web`
pub(crate) fn change(changed: &Value) -> Result<String, Mismatch> {
    let sign = match cell(changed, "/change")?.as_str() {
        "added" => "+".to_owned(),
        "removed" => "-".to_owned(),
        "replaced" => "~".to_owned(),
        other => format!("{other}:"),
    };
    Ok(format!("{sign} {} {}", cell(changed, "/kind")?, cell(changed, "/name")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_have_a_sign() {
        let one = |change: &str| json!({ "kind": "vif", "name": "a", "change": change });
        let document = json!({ "changed": [one("added"), one("removed"), one("replaced")] });
        assert_eq!(changes(&document).unwrap(), "+ vif a\n- vif a\n~ vif a\n");
        assert_eq!(changes(&json!({ "changed": [] })).unwrap(), "no difference\n");
    }
}
