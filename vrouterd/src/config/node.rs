//! `[node]`: the node and its tunnels.

use std::path::PathBuf;

use dataplane::desired::{MssClamp, OuterOptions};
use encap::{DontFragment, DscpMode, LEGACY_MPLS_UDP_PORT, MPLS_UDP_PORT, Udp6Checksum};

use super::ledger::{Ledger, Owner};
use super::model::Node;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

pub(super) fn read(mut section: Section<'_>, ledger: &mut Ledger<'_>) -> Result<Node, Reported> {
    let name = section.required("name", "name = \"node-a\"", scalar::name);
    let uplink = section.required("uplink", "uplink = \"eth0\", the interface to the other nodes", uplink);
    let tunnel_address =
        section.required("tunnel_address", "tunnel_address = \"172.30.0.1\"", scalar::address);
    let state_dir = section.or_default("state_dir", PathBuf::from("/run/vrouter"), state_dir);
    let udp_port = section.or_default("udp_port", MPLS_UDP_PORT, scalar::port);
    let default_legacy = Some(LEGACY_MPLS_UDP_PORT).filter(|port| udp_port.as_ref().ok() != Some(port));
    let legacy = section.or_default("legacy_udp_port", default_legacy, |item| {
        let port = legacy_port(item)?;
        match (port, &udp_port) {
            (Some(port), Ok(main)) if port == *main => Err(item.wrong(
                format_args!("{port} is node.udp_port already"),
                "write another port, or \"off\" to take no second port",
            )),
            _ => Ok(port),
        }
    });
    let explicit_null_vrf = section.optional("explicit_null_vrf", |item| ledger.vrf(item));
    let mss_clamp = section.or_default("mss_clamp", MssClamp::default(), |item| {
        scalar::choice(item, &[("on", MssClamp::On), ("off", MssClamp::Off)])
    });
    let outer = outer(&mut section);
    section.finish();

    ledger.tunnel_address = tunnel_address.as_ref().ok().map(|at| at.value);
    if let Ok(uplink) = &uplink {
        ledger.claim_ifname(uplink, &Owner::new("uplink", &Ok(uplink.clone()), &uplink.place));
    }
    Ok(Node {
        name: name?.value,
        uplink: uplink?,
        tunnel_address: tunnel_address?,
        state_dir: state_dir?,
        udp_port: udp_port?,
        legacy_udp_port: legacy?,
        explicit_null_vrf: explicit_null_vrf?.map(|at| at.value),
        mss_clamp: mss_clamp?,
        outer: outer?,
    })
}

fn uplink(item: &Item<'_>) -> Result<String, Reported> {
    match scalar::ifname(item)? {
        lo if lo == "lo" => Err(item.wrong(
            "the loopback interface reaches no other node",
            "name the interface that the tunnel address is on",
        )),
        ifname => Ok(ifname),
    }
}

fn state_dir(item: &Item<'_>) -> Result<PathBuf, Reported> {
    // A Unix socket's path has at most 107 bytes (sun_path in unix(7)); its name needs some.
    const LONGEST: usize = 80;
    let text = item.text()?;
    if !text.starts_with('/') || text.len() > LONGEST || text.contains(char::is_control) {
        let what = format!("{} cannot be the state directory", quote(text));
        return Err(item.wrong(what, "write an absolute path of at most 80 bytes, like \"/run/vrouter\""));
    }
    Ok(PathBuf::from(text))
}

fn legacy_port(item: &Item<'_>) -> Result<Option<u16>, Reported> {
    match item.word() {
        None => scalar::port(item).map(Some),
        Some("off") => Ok(None),
        Some(other) => Err(item.wrong(
            format_args!("{} is neither a port nor \"off\"", quote(other)),
            "write a number from 1 to 65535, or \"off\" to take no second port",
        )),
    }
}

fn outer(section: &mut Section<'_>) -> Result<OuterOptions, Reported> {
    let default = OuterOptions::default();
    let dont_fragment = section.or_default("dont_fragment", default.dont_fragment, |item| {
        scalar::choice(item, &[("clear", DontFragment::Clear), ("set", DontFragment::Set)])
    });
    let dscp = section.or_default("dscp", default.dscp, dscp);
    let udp6_checksum = section.or_default("udp6_checksum", default.udp6_checksum, |item| {
        scalar::choice(item, &[("compute", Udp6Checksum::Compute), ("zero", Udp6Checksum::Zero)])
    });
    Ok(OuterOptions { dont_fragment: dont_fragment?, dscp: dscp?, udp6_checksum: udp6_checksum? })
}

fn dscp(item: &Item<'_>) -> Result<DscpMode, Reported> {
    let remedy = "write a number from 0 to 63, or \"copy\"";
    match item.word() {
        Some("copy") => Ok(DscpMode::Copy),
        Some(other) => Err(item.wrong(format_args!("{} is no DSCP", quote(other)), remedy)),
        None => {
            // DSCP is a field of six bits (RFC 2474 section 3).
            let value = item.number(0..=63, ", or \"copy\"")?;
            let too_large = |_| item.wrong(format_args!("{value} is too large"), remedy);
            u8::try_from(value).map(DscpMode::Fixed).map_err(too_large)
        }
    }
}
