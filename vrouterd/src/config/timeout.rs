//! `[timeouts]`: how long a flow pair may be idle.

use core::ops::RangeInclusive;

use flow_table::{PortTimeout, Timeouts};

use super::place::At;
use super::problem::Reported;
use super::scalar;
use super::section::{Item, Section};

pub(super) fn timeouts(mut section: Section<'_>) -> Result<Timeouts, Reported> {
    let default = Timeouts::default();
    let mut read = |key, default| section.or_default(key, default, scalar::seconds);
    let tcp_opening = read("tcp_opening", default.tcp_opening);
    let tcp_established = read("tcp_established", default.tcp_established);
    let tcp_closing = read("tcp_closing", default.tcp_closing);
    let udp = read("udp", default.udp);
    let icmp = read("icmp", default.icmp);
    let other = read("other", default.other);
    let dropped = read("drop", default.dropped);
    let mut timeouts = section.or_default("ports", default, ports);
    section.finish();
    if let Ok(timeouts) = &mut timeouts {
        timeouts.tcp_opening = tcp_opening?;
        timeouts.tcp_established = tcp_established?;
        timeouts.tcp_closing = tcp_closing?;
        timeouts.udp = udp?;
        timeouts.icmp = icmp?;
        timeouts.other = other?;
        timeouts.dropped = dropped?;
    }
    timeouts
}

/// The default timeouts with those of the list for some ports.
fn ports(item: &Item<'_>) -> Result<Timeouts, Reported> {
    let mut seen: Vec<At<PortTimeout>> = Vec::new();
    let list = item.list(|element| {
        let timeout = port_timeout(element.section()?)?;
        if let Some(first) = seen.iter().find(|first| share_a_port(&first.value, &timeout)) {
            let what = format!("ports of {} are also in {}", shown(&timeout.ports), first.place.key);
            return Err(element.wrong(what, "list each port once for a protocol"));
        }
        if seen.len() < Timeouts::MAX_OVERRIDES {
            seen.push(At { value: timeout.clone(), place: element.place.clone() });
        }
        Ok(timeout)
    })?;
    let list = list.into_iter().map(|at| at.value).collect();
    Timeouts::default().with_overrides(list).map_err(|error| item.wrong(error, "or leave some out"))
}

fn share_a_port(a: &PortTimeout, b: &PortTimeout) -> bool {
    a.protocol == b.protocol && a.ports.start() <= b.ports.end() && b.ports.start() <= a.ports.end()
}

fn shown(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        return ports.start().to_string();
    }
    format!("{}-{}", ports.start(), ports.end())
}

fn port_timeout(mut section: Section<'_>) -> Result<PortTimeout, Reported> {
    let protocol = section.required("protocol", "protocol = \"udp\"", scalar::transport);
    let ports = section.required("port", "port = 53", scalar::port_range);
    let idle = section.required("idle", "idle = 30", scalar::seconds);
    section.finish();
    Ok(PortTimeout { protocol: protocol?.value.number(), ports: ports?.value, idle: idle?.value })
}
