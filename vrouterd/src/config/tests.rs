//! Whole files, good and bad.

mod bad;
mod broadcast;
mod clash;
mod facts;
mod good;
mod hostile;
mod nat;
mod policy;
mod sources;

use super::{Config, parse};

/// The least file that is sound: four lines, so that what follows starts at line 5.
const NODE: &str = "[node]\nname = \"n\"\nuplink = \"eth0\"\ntunnel_address = \"172.30.0.1\"\n";

/// Two VRFs and a vif: eleven lines behind [`NODE`], so that what follows starts at line 16.
const VIFS: &str = r#"[[vrf]]
name = "blue"
[[vrf]]
name = "green"
[[vif]]
name = "client"
ifname = "veth1a"
vrf = "blue"
addresses = ["10.0.1.2", "fd00:1::2"]
mac = "02:00:00:00:0a:01"
label = 17
"#;

fn sound(text: &str) -> Config {
    parse("f", text).unwrap_or_else(|problems| panic!("{problems}"))
}
