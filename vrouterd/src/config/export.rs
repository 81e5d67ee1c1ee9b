//! `[export]`: where records of the flows are sent.

use core::net::SocketAddr;

use super::model::Export;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};

const DEFAULT_RECORDS: u32 = 1000;

pub(super) fn export(mut section: Section<'_>) -> Result<Export, Reported> {
    let collector = section.required("collector", "collector = \"192.0.2.9:4739\"", collector);
    let sampling = section.or_default("sampling", 1, |item| scalar::medium(item, 1..=65_536));
    let records_per_second =
        section.or_default("records_per_second", DEFAULT_RECORDS, |item| scalar::medium(item, 1..=100_000));
    let domain = section.or_default("domain", 0, |item| scalar::medium(item, 0..=u32::MAX));
    section.finish();
    Ok(Export {
        collector: collector?.value,
        sampling: sampling?,
        records_per_second: records_per_second?,
        domain: domain?,
    })
}

fn collector(item: &Item<'_>) -> Result<SocketAddr, Reported> {
    let text = item.text()?;
    let remedy =
        "write the address and UDP port of the collector, like \"192.0.2.9:4739\" or \"[2001:db8::9]:4739\"";
    match text.parse::<SocketAddr>() {
        Ok(collector) if collector.port() != 0 && !collector.ip().is_unspecified() => Ok(collector),
        _ => Err(item.wrong(format_args!("{} is no address with a port", quote(text)), remedy)),
    }
}
