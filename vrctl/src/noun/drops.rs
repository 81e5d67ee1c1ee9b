//! `vrctl drops`

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use crate::failure::{Failure, Noun};
use crate::session::{Form, Session};
use crate::value::{Mismatch, cell, list, number};
use crate::{query, show};

/// Which drops, and whether once or for as long as it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also reasons that were never met.
    #[arg(long, conflicts_with = "watch")]
    all: bool,
    /// Only packets of this vif.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    vif: Option<String>,
    /// A line for each reason and interval in which packets are dropped, until it is interrupted.
    #[arg(long, short)]
    watch: bool,
    /// Seconds between two looks.
    #[arg(long, requires = "watch", default_value_t = 1, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    interval: u32,
    /// Ends after so many intervals.
    #[arg(long, requires = "watch", value_name = "N")]
    count: Option<u32>,
}

impl Args {
    /// Shows or watches drops.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        session.must_exist(Noun::Vif, self.vif.as_deref())?;
        if self.watch {
            return self.watch(session);
        }
        let page = query::page("/drops", &[]);
        match &self.vif {
            None => session.show(&page, |document| show::node::drops(document, self.all)),
            Some(_) => {
                let found = self.read(session)?;
                session.answer_with(&page, found, |document| show::node::drops(document, self.all))
            }
        }
    }

    fn read(&self, session: &Session) -> Result<Value, Failure> {
        let page = query::page("/drops", &[]);
        let document = session.read(&page)?;
        match &self.vif {
            None => Ok(document),
            Some(vif) => session.expect(&page, of_vif(&document, vif)),
        }
    }

    fn watch(&self, session: &Session) -> Result<(), Failure> {
        let mut before = self.read(session)?;
        if session.form == Form::Table {
            session.say(show::node::DROP_LINES)?;
        }
        let mut left = self.count;
        while left != Some(0) {
            std::thread::sleep(Duration::from_secs(self.interval.into()));
            let after = self.read(session)?;
            let more = session.expect("/drops", since(&before, &after))?;
            for drop in list(&more, "").unwrap_or_default() {
                // A program that follows reads a document a line.
                match session.form {
                    Form::Json => session.say(&format!("{drop}\n"))?,
                    Form::Yaml => session.answer_with("/drops", json!([drop]), |_| Ok(String::new()))?,
                    Form::Table => session.say(&session.expect("/drops", show::node::drop_line(drop))?)?,
                }
            }
            before = after;
            left = left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    }
}

/// The drops of one vif only.
fn of_vif(document: &Value, vif: &str) -> Result<Value, Mismatch> {
    let mut found = Vec::new();
    for drop in list(document, "")? {
        let ports: Vec<&Value> = list(drop, "/ports")?.iter().filter(|port| port["vif"] == vif).collect();
        let counts: Result<Vec<u64>, _> = ports.iter().map(|port| number(port, "/count")).collect();
        let mut of_vif = drop.clone();
        of_vif["count"] = json!(counts?.iter().sum::<u64>());
        of_vif["ports"] = json!(ports);
        found.push(of_vif);
    }
    Ok(Value::Array(found))
}

/// What was dropped between two looks; a restart of the daemon begins at zero.
pub(super) fn since(before: &Value, after: &Value) -> Result<Value, Mismatch> {
    let mut found = Vec::new();
    for now in list(after, "")? {
        let reason = cell(now, "/reason")?;
        let then = list(before, "")?.iter().find(|drop| drop["reason"] == reason.as_str());
        let more = grown(then, now)?;
        if more == 0 {
            continue;
        }
        let mut ports = Vec::new();
        for port in list(now, "/ports")? {
            let same = |other: &&Value| other["port"] == port["port"] && other["vif"] == port["vif"];
            let old =
                then.map(|drop| list(drop, "/ports")).transpose()?.unwrap_or_default().iter().find(same);
            let count = grown(old, port)?;
            if count > 0 {
                let mut port = port.clone();
                port["count"] = json!(count);
                ports.push(port);
            }
        }
        found.push(
            json!({ "reason": reason, "count": more, "ports": ports, "meaning": cell(now, "/meaning")? }),
        );
    }
    Ok(Value::Array(found))
}

fn grown(before: Option<&Value>, after: &Value) -> Result<u64, Mismatch> {
    let (now, then) = (number(after, "/count")?, before.map(|before| number(before, "/count")).transpose()?);
    Ok(now.checked_sub(then.unwrap_or_default()).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop(reason: &str, ports: &[(&str, u64)]) -> Value {
        let port = |(vif, count): &(&str, u64)| json!({ "port": "vif", "vif": vif, "count": count });
        let count: u64 = ports.iter().map(|(_, count)| count).sum();
        let ports: Vec<Value> = ports.iter().map(port).collect();
        json!({ "reason": reason, "meaning": "m", "count": count, "ports": ports })
    }

    #[test]
    fn only_what_has_come_since_is_told() {
        let before = json!([drop("a", &[("x", 1), ("y", 2)]), drop("b", &[("x", 5)])]);
        let after = json!([drop("a", &[("x", 1), ("y", 4)]), drop("b", &[("x", 5)]), drop("c", &[("z", 1)])]);
        let expected = json!([drop("a", &[("y", 2)]), drop("c", &[("z", 1)])]);
        assert_eq!(since(&before, &after), Ok(expected));
        let restarted = json!([drop("b", &[("x", 2)])]);
        assert_eq!(since(&before, &restarted), Ok(json!([drop("b", &[("x", 2)])])));
    }

    #[test]
    fn the_drops_of_a_vif_are_its_own() {
        let all = json!([drop("a", &[("x", 1), ("y", 2)])]);
        assert_eq!(of_vif(&all, "y"), Ok(json!([drop("a", &[("y", 2)])])));
        assert_eq!(of_vif(&all, "z"), Ok(json!([drop("a", &[])])));
    }
}
