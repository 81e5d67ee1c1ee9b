//! Single values: names, addresses, labels, ports.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use dataplane::desired::Transport;
use dataplane::ids::Mac;
use encap::Label;
use flow_table::Millis;
use ipnet::IpNet;

use super::problem::{Reported, quote};
use super::section::Item;

/// Interfaces that the daemon makes itself, beside the host's, whose name is configured.
pub(super) const OWN_IFNAMES: [&str; 3] = ["vr-trunk0", "vr-trunk1", "vr-vhost1"];

/// A name shown to people: 1 to 64 letters, digits, signs, and single spaces inside.
pub(super) fn name(item: &Item<'_>) -> Result<String, Reported> {
    const LONGEST: usize = 64;
    let text = item.text()?;
    let remedy = "use 1 to 64 letters, digits or signs, with single spaces inside at most";
    let printable = |c: char| c.is_ascii_graphic() || c.is_alphanumeric() || c == ' ';
    if text.is_empty() {
        return Err(item.wrong("the name is empty", remedy));
    }
    if text.chars().count() > LONGEST {
        return Err(item.wrong(format_args!("the name {} is too long", quote(text)), remedy));
    }
    if !text.chars().all(printable) || text.trim() != text || text.contains("  ") {
        return Err(item.wrong(format_args!("the name {} is not printable", quote(text)), remedy));
    }
    Ok(text.to_owned())
}

/// A name that is also a segment of a URL's path, where `.` and `..` are steps (RFC 3986 section 5.2.4).
pub(super) fn path_name(item: &Item<'_>) -> Result<String, Reported> {
    let name = name(item)?;
    if matches!(name.as_str(), "." | "..") || name.contains('/') {
        let what = format!("the name {} cannot be part of a URL", quote(&name));
        return Err(item.wrong(what, "use a name without '/' that is neither \".\" nor \"..\""));
    }
    Ok(name)
}

/// A name that the kernel takes for an interface (`dev_valid_name` in net/core/dev.c), without
/// `%`, which the kernel would replace with a number when it creates one.
pub(super) fn ifname(item: &Item<'_>) -> Result<String, Reported> {
    const LONGEST: usize = 15;
    let text = item.text()?;
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if text.is_empty() || text.len() > LONGEST || matches!(text, "." | "..") || text.contains(refused) {
        let what = format!("{} cannot be the name of an interface", quote(text));
        return Err(item.wrong(what, "use 1 to 15 bytes without spaces, '/', ':' or '%'"));
    }
    if OWN_IFNAMES.contains(&text) {
        let what = format!("{} is an interface that the daemon makes itself", quote(text));
        return Err(item.wrong(what, "name another interface"));
    }
    Ok(text.to_owned())
}

/// The Ethernet address of one station.
pub(super) fn mac(item: &Item<'_>) -> Result<Mac, Reported> {
    let text = item.text()?;
    let mac: Mac = text.parse().map_err(|_| {
        item.wrong(
            format_args!("{} is not an Ethernet address", quote(text)),
            "write six octets like \"02:00:00:00:0a:01\"",
        )
    })?;
    let remedy = "give the address of the pod's own interface, as `ip link` shows it inside the pod";
    if mac.is_zero() {
        return Err(item.wrong("an Ethernet address cannot be all zeros", remedy));
    }
    if mac.is_group() {
        return Err(item.wrong(format_args!("{mac} is a multicast address"), remedy));
    }
    if mac == Mac::GATEWAY {
        return Err(item.wrong(format_args!("{mac} is the vrouter's own address"), remedy));
    }
    Ok(mac)
}

/// A label that may be given out (RFC 7274 section 3 reserves 0 to 15).
pub(super) fn label(item: &Item<'_>) -> Result<Label, Reported> {
    let number = item.number(u64::from(Label::FIRST_FREE.get())..=u64::from(Label::MAX.get()), "")?;
    match u32::try_from(number).ok().and_then(Label::new) {
        Some(label) => Ok(label),
        None => Err(item.wrong(format_args!("{number} is no label"), "write a number of 20 bits")),
    }
}

/// The address of one host.
pub(super) fn address(item: &Item<'_>) -> Result<IpAddr, Reported> {
    let address = gateway(item)?;
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Err(item.wrong(
            format_args!("{address} is a link-local address, which is not routed"),
            "give the unicast address of one host",
        )),
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(address),
    }
}

/// The address of one host on the link: unlike [`address`], it need not be routed.
pub(super) fn gateway(item: &Item<'_>) -> Result<IpAddr, Reported> {
    let text = item.text()?;
    let address: IpAddr = text.parse().map_err(|_| {
        let remedy = if text.contains('/') {
            "write it without a prefix length"
        } else {
            "write it like \"10.0.1.2\" or \"fd00:1::2\""
        };
        item.wrong(format_args!("{} is not an IP address", quote(text)), remedy)
    })?;
    match unfit(address) {
        Some(kind) => {
            Err(item.wrong(format_args!("{address} is {kind}"), "give the unicast address of one host"))
        }
        None => Ok(address),
    }
}

/// Why an address cannot be that of one host, unless it can.
fn unfit(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("an address of \"this network\" (0.0.0.0/8)"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some("a reserved address (240.0.0.0/4)"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some("the unspecified address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address in IPv6 clothing"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// A destination prefix without host bits.
pub(super) fn prefix(item: &Item<'_>) -> Result<IpNet, Reported> {
    let prefix = any_prefix(item)?;
    if prefix.network().is_multicast() {
        return Err(item.wrong(format_args!("{prefix} is multicast"), "route unicast prefixes only"));
    }
    Ok(prefix)
}

/// A prefix without host bits, which may be multicast.
pub(super) fn any_prefix(item: &Item<'_>) -> Result<IpNet, Reported> {
    let text = item.text()?;
    let prefix: IpNet = text.parse().map_err(|_| {
        let remedy = match text.parse::<IpAddr>() {
            Ok(host) => format!("for one host write \"{}\"", IpNet::from(host)),
            Err(_) => "write it like \"10.0.2.0/24\" or \"fd00:2::/64\"".to_owned(),
        };
        item.wrong(format_args!("{} is not a prefix", quote(text)), remedy)
    })?;
    if prefix != prefix.trunc() {
        let remedy = format!("write \"{}\", or a longer prefix", prefix.trunc());
        return Err(item.wrong(format_args!("{prefix} has bits set behind its length"), remedy));
    }
    Ok(prefix)
}

/// A UDP, TCP or SCTP port.
pub(super) fn port(item: &Item<'_>) -> Result<u16, Reported> {
    small(item, 1..=u16::MAX, "")
}

/// A port, or ports in a row such as `"5000-5100"`.
pub(super) fn port_range(item: &Item<'_>) -> Result<RangeInclusive<u16>, Reported> {
    let Some(text) = item.word() else {
        return port(item).map(|port| port..=port);
    };
    let remedy = "write a port like 53, or a range like \"5000-5100\" within 1 to 65535";
    // A number may begin with `+` for Rust, not for us.
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
    let parsed = text.split_once('-').and_then(|(first, last)| Some(number(first)?..=number(last)?));
    match parsed {
        Some(ports) if *ports.start() == 0 => {
            Err(item.wrong(format_args!("{} begins with port 0", quote(text)), remedy))
        }
        Some(ports) if ports.is_empty() => {
            Err(item.wrong(format_args!("the range {} is empty", quote(text)), "give the lower port first"))
        }
        Some(ports) => Ok(ports),
        None => Err(item.wrong(format_args!("{} is no range of ports", quote(text)), remedy)),
    }
}

/// A protocol with ports.
pub(super) fn transport(item: &Item<'_>) -> Result<Transport, Reported> {
    choice(item, &[("tcp", Transport::Tcp), ("udp", Transport::Udp), ("sctp", Transport::Sctp)])
}

/// A number of 16 bits.
pub(super) fn small(item: &Item<'_>, allowed: RangeInclusive<u16>, unit: &str) -> Result<u16, Reported> {
    let number = item.number(u64::from(*allowed.start())..=u64::from(*allowed.end()), unit)?;
    u16::try_from(number)
        .map_err(|_| item.wrong(format_args!("{number} is too large"), "write a smaller one"))
}

/// A number of 32 bits.
pub(super) fn medium(item: &Item<'_>, allowed: RangeInclusive<u32>) -> Result<u32, Reported> {
    let number = item.number(u64::from(*allowed.start())..=u64::from(*allowed.end()), "")?;
    u32::try_from(number)
        .map_err(|_| item.wrong(format_args!("{number} is too large"), "write a smaller one"))
}

/// A time in whole seconds, 1 second to 30 days.
pub(super) fn seconds(item: &Item<'_>) -> Result<Millis, Reported> {
    const LONGEST: u64 = 30 * 24 * 3600;
    item.number(1..=LONGEST, " seconds").map(|seconds| Millis(seconds * 1000))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(item: &Item<'_>, choices: &[(&str, T)]) -> Result<T, Reported> {
    let words: Vec<String> = choices.iter().map(|(word, _)| quote(word)).collect();
    let remedy = format!("write {}", words.join(" or "));
    let text = item.text_or(&remedy)?;
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(item.wrong(format_args!("{} is not one of the choices", quote(text)), remedy)),
    }
}
