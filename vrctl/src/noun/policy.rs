//! `vrctl policy`

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::session::Session;
use crate::{query, show};

/// Takes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Lists the policies that are asked for, each with the vifs that are under it.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let page = "/v1/policies";
        let (policies, vifs) = (session.read(page)?, session.read(&query::page("/vifs", &[]))?);
        let mut found = Vec::new();
        for policy in session.expect(page, crate::value::list(&policies, ""))? {
            let name = policy.get("name");
            let under = vifs.as_array().into_iter().flatten().filter(|vif| is_under(vif, name));
            let mut policy = policy.clone();
            policy["vifs"] = under.filter_map(|vif| vif.get("name").cloned()).collect::<Vec<_>>().into();
            found.push(policy);
        }
        session.answer_with(page, json!(found), show::policy::policies)
    }
}

fn is_under(vif: &Value, policy: Option<&Value>) -> bool {
    let names = vif.get("policies").and_then(Value::as_array).into_iter().flatten();
    policy.is_some() && names.map(|of_vif| of_vif.get("name")).any(|name| name == policy)
}
