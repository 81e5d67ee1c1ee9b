//! Which page of the daemon answers a command.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cli::{Command, FlowCommand, FlowFilter, RouteCommand, VifCommand};

/// What a name on the command line is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noun {
    Vif,
    Vrf,
}

impl Noun {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Noun::Vif => "vif",
            Noun::Vrf => "VRF",
        }
    }

    /// The command that lists them.
    pub(crate) fn lister(self) -> &'static str {
        match self {
            Noun::Vif => "vrctl vif list",
            Noun::Vrf => "vrctl vrf",
        }
    }

    /// Path and query of the document that lists them.
    pub(crate) fn query(self) -> &'static str {
        match self {
            Noun::Vif => "/vifs?format=json",
            Noun::Vrf => "/vrfs?format=json",
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Command {
    /// Path and query of the document, percent-encoded.
    pub(crate) fn query(&self) -> String {
        let (path, parameters) = match self {
            Command::Vif(VifCommand::List) => ("/vifs".to_owned(), vec![]),
            Command::Vif(VifCommand::Show { name }) => (format!("/vif/{}", encode(name)), vec![]),
            Command::Vrf => ("/vrfs".to_owned(), vec![]),
            Command::Route(RouteCommand::List { vrf }) => ("/routes".to_owned(), vec![("vrf", vrf.clone())]),
            Command::Nh => ("/nexthops".to_owned(), vec![]),
            Command::Label => ("/labels".to_owned(), vec![]),
            Command::Service => ("/services".to_owned(), vec![]),
            Command::Flow(FlowCommand::List(filter)) => ("/flows".to_owned(), filter.parameters()),
            Command::Drops { .. } => ("/drops".to_owned(), vec![]),
            Command::Worker => ("/workers".to_owned(), vec![]),
            Command::Tunnel => ("/tunnels".to_owned(), vec![]),
            Command::Stats => ("/".to_owned(), vec![]),
        };
        let mut query = format!("{path}?format=json");
        for (key, value) in parameters {
            if let Some(value) = value {
                query.push_str(&format!("&{key}={}", encode(&value)));
            }
        }
        query
    }

    /// The names by which the answer is filtered.
    pub(crate) fn filters(&self) -> Vec<(Noun, &str)> {
        let (vif, vrf) = match self {
            Command::Route(RouteCommand::List { vrf }) => (None, vrf.as_deref()),
            Command::Flow(FlowCommand::List(filter)) => (filter.vif.as_deref(), filter.vrf.as_deref()),
            Command::Vif(_)
            | Command::Vrf
            | Command::Nh
            | Command::Label
            | Command::Service
            | Command::Drops { .. }
            | Command::Worker
            | Command::Tunnel
            | Command::Stats => (None, None),
        };
        vif.map(|name| (Noun::Vif, name)).into_iter().chain(vrf.map(|name| (Noun::Vrf, name))).collect()
    }
}

impl FlowFilter {
    fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("vif", self.vif.clone()),
            ("vrf", self.vrf.clone()),
            ("proto", self.proto.clone()),
            ("addr", self.addr.map(|address| address.to_string())),
            ("port", self.port.map(|port| port.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ]
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn commands_name_their_page() {
        let table = [
            ("vif list", "/vifs?format=json"),
            ("vif show web-1", "/vif/web-1?format=json"),
            ("vif show a/b?#&é", "/vif/a%2Fb%3F%23%26%C3%A9?format=json"),
            ("vrf", "/vrfs?format=json"),
            ("route list", "/routes?format=json"),
            ("route list --vrf a&b", "/routes?format=json&vrf=a%26b"),
            ("nh", "/nexthops?format=json"),
            ("label", "/labels?format=json"),
            ("service", "/services?format=json"),
            ("flow list", "/flows?format=json"),
            (
                "flow list --vif c --vrf b --proto tcp --addr fd00::1 --port 80 --limit 5",
                "/flows?format=json&vif=c&vrf=b&proto=tcp&addr=fd00%3A%3A1&port=80&limit=5",
            ),
            ("drops", "/drops?format=json"),
            ("worker", "/workers?format=json"),
            ("tunnel", "/tunnels?format=json"),
            ("stats", "/?format=json"),
        ];
        for (line, expected) in table {
            let cli = Cli::try_parse_from(["vrctl"].into_iter().chain(line.split(' '))).unwrap();
            assert_eq!(cli.command.query(), expected, "{line}");
        }
    }
}
