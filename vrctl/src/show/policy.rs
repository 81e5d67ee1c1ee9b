//! Security policies.

use serde_json::Value;

use crate::table::Column::Left;
use crate::table::Table;
use crate::value::{Mismatch, at, cell, list};

/// One line per rule, each complete.
pub(crate) fn policies(document: &Value) -> Result<String, Mismatch> {
    let columns =
        [Left("NAME"), Left("ASKED FOR IN"), Left("COURSE"), Left("RULE"), Left("ALLOWS"), Left("VIFS")];
    let mut table = Table::new(columns);
    for policy in list(document, "")? {
        let origin = match policy.get("place") {
            Some(_) => cell(policy, "/place")?,
            None => cell(policy, "/origin")?,
        };
        let (name, vifs) = (cell(policy, "/name")?, cell(policy, "/vifs")?);
        let mut row = |course: &str, rule: String, allows: String| {
            table.row([name.clone(), origin.clone(), course.to_owned(), rule, allows, vifs.clone()]);
        };
        let none = || "-".to_owned();
        for (course, peers) in [("ingress", "from"), ("egress", "to")] {
            if at(policy, "/resource")?.get(course).is_none() {
                continue;
            }
            let rules = list(policy, &format!("/resource/{course}"))?;
            for (number, rule) in rules.iter().enumerate() {
                let known = rule.get("name").and_then(Value::as_str);
                row(course, known.map_or_else(|| number.to_string(), str::to_owned), allows(rule, peers)?);
            }
            if rules.is_empty() {
                row(course, none(), "nothing".to_owned());
            }
        }
        let resource = at(policy, "/resource")?;
        if resource.get("ingress").is_none() && resource.get("egress").is_none() {
            row("-", none(), "everything".to_owned());
        }
    }
    Ok(if table.is_empty() { "there is no policy\n".to_owned() } else { table.to_string() })
}

/// `tcp 80 from 10.0.0.0/8,fd00::/8`
fn allows(rule: &Value, peers: &str) -> Result<String, Mismatch> {
    let part = |key: &str, word: &str| match rule.get(key) {
        Some(_) => Ok(Some(format!("{word}{}", cell(rule, &format!("/{key}"))?))),
        None => Ok(None),
    };
    let parts = [part("protocol", "")?, part("port", "")?, part("icmp_type", "type ")?];
    let what: Vec<String> = parts.into_iter().flatten().collect();
    let what = if what.is_empty() { "everything".to_owned() } else { what.join(" ") };
    Ok(match part(peers, &format!("{peers} "))? {
        Some(whom) => format!("{what} {whom}"),
        None => format!("{what} {peers} anyone"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_rule_is_a_line() {
        let ingress =
            json!([{ "name": "http", "protocol": "tcp", "port": "80-90", "from": ["10.0.0.0/8"] }, {}]);
        let document = json!([
            { "name": "a", "origin": "file", "place": "f.toml:3", "resource": { "name": "a", "ingress": ingress },
              "vifs": ["x", "y"] },
            { "name": "b", "origin": "declared", "resource": { "name": "b", "egress": [] }, "vifs": [] },
            { "name": "c", "origin": "declared", "resource": { "name": "c" }, "vifs": [] },
        ]);
        let expected = "\
NAME  ASKED FOR IN  COURSE   RULE  ALLOWS                     VIFS
a     f.toml:3      ingress  http  tcp 80-90 from 10.0.0.0/8  x,y
a     f.toml:3      ingress  1     everything from anyone     x,y
b     declared      egress   -     nothing                    -
c     declared      -        -     everything                 -
";
        let shown = policies(&document).unwrap();
        assert_eq!(anstream::adapter::strip_str(&shown).to_string(), expected);
    }
}
