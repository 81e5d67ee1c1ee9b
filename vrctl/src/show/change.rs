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
    let text = if text.is_empty() { "no difference\n".to_owned() } else { text };
    Ok(text + &awaited(document)?)
}

/// What would be declared has no mistake, but may name vifs that are not there.
pub(crate) fn judged(file: &str, document: &Value) -> Result<String, Mismatch> {
    Ok(format!("{file}: no mistake\n{}", awaited(document)?))
}

/// A line for each vif that is named and not there.
fn awaited(document: &Value) -> Result<String, Mismatch> {
    let line = |awaited: &Value| {
        let others = match cell(awaited, "/others")?.as_str() {
            "0" => String::new(),
            others => format!(" and {others} more"),
        };
        let (vif, by) = (cell(awaited, "/vif")?, cell(awaited, "/by")?);
        Ok(format!("! vif {vif} is not there: named in {by}{others}\n"))
    };
    // Left out when there is none.
    let vifs = if document.get("awaited").is_some() { list(document, "/awaited")? } else { &[] };
    vifs.iter().map(line).collect()
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

    #[test]
    fn vifs_that_are_not_there_are_told_of() {
        let one = |vif: &str, others: u64| json!({ "vif": vif, "by": "services/web", "others": others });
        let document = json!({ "changed": [], "awaited": [one("a", 0), one("b", 2)] });
        let lines = "! vif a is not there: named in services/web\n! vif b is not there: named in services/web and 2 more\n";
        assert_eq!(changes(&document).unwrap(), format!("no difference\n{lines}"));
        assert_eq!(judged("f.toml", &document).unwrap(), format!("f.toml: no mistake\n{lines}"));
    }
}
