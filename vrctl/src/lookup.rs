//! Longest prefix match over the routes that a daemon lists.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::value::{Mismatch, cell, list};

/// The route of `vrf` that packets to `address` take: the one with the longest prefix.
///
/// # Errors
/// [`Mismatch`] when this is no list of routes.
pub(crate) fn longest<'v>(
    routes: &'v Value,
    vrf: &str,
    address: IpAddr,
) -> Result<Option<&'v Value>, Mismatch> {
    let mut best: Option<(u8, &Value)> = None;
    for route in list(routes, "")? {
        let prefix: IpNet =
            cell(route, "/prefix")?.parse().map_err(|_| Mismatch::Kind("/prefix".to_owned(), "prefix"))?;
        let longer = best.is_none_or(|(length, _)| prefix.prefix_len() > length);
        if longer && prefix.contains(&address) && cell(route, "/vrf")? == vrf {
            best = Some((prefix.prefix_len(), route));
        }
    }
    Ok(best.map(|(_, route)| route))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_longest_prefix_of_the_right_table_and_family_wins() {
        let route = |vrf: &str, prefix: &str| json!({ "vrf": vrf, "prefix": prefix });
        let routes = json!([
            route("blue", "0.0.0.0/0"),
            route("blue", "10.0.0.0/8"),
            route("blue", "10.0.1.0/24"),
            route("red", "10.0.1.2/32"),
            route("blue", "fd00::/16"),
        ]);
        let table = [
            ("blue", "10.0.1.2", Some("10.0.1.0/24")),
            ("blue", "10.9.1.2", Some("10.0.0.0/8")),
            ("blue", "192.0.2.1", Some("0.0.0.0/0")),
            ("blue", "fd00::1", Some("fd00::/16")),
            ("blue", "fe80::1", None),
            ("red", "10.0.1.3", None),
        ];
        for (vrf, address, expected) in table {
            let found = longest(&routes, vrf, address.parse().unwrap()).unwrap();
            assert_eq!(found.map(|route| route["prefix"].as_str().unwrap()), expected, "{address}");
        }
        assert!(longest(&json!([{ "prefix": "x", "vrf": "a" }]), "a", "::1".parse().unwrap()).is_err());
    }
}
