//! The generator alone, out of a real interface: for two machines with a cable between them. The other machine runs
//! the vrouter as node-b of the benchmark, and counts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::course::GENERATOR_CPU;
use crate::frames::{Dialect, Size, from_wire, readdressed};
use crate::generator::{Generator, Load};
use crate::options::Uplink;
use crate::vrouter;

/// Sends MPLS over UDP to the machine behind the uplink and says how much; leaves the configuration of that machine
/// in `out`.
pub(crate) fn send(uplink: &Uplink, out: &Path) {
    let name = &uplink.uplink;
    let read = |file: &str| {
        let path = format!("/sys/class/net/{name}/{file}");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let own = parse_mac(read("address").trim()).expect("the uplink is Ethernet");
    let config = out.join("node-b.toml");
    fs::create_dir_all(out).expect("the directory of the results can be made");
    fs::write(&config, vrouter::backend_config()).expect("the configuration can be written");
    println!(
        "the other machine: 172.30.0.2/24 on its uplink, `vrouterd run --config` {}; the pods of that file",
        config.display()
    );
    let mut generator = Generator::new(read("ifindex").trim().parse().expect("an index"), GENERATOR_CPU);
    generator.choose(readdressed(
        from_wire(Dialect::Vrouter, Size::Fixed(uplink.size.into())),
        uplink.mac,
        own,
    ));
    let duration = Duration::from_secs(uplink.seconds);
    let sent = generator.run(Load { rate: uplink.rate, flows: uplink.flows, duration });
    println!(
        "{} packets in {:.2} s, {:.0} per second; what arrived stands in the other machine's counters",
        sent.packets,
        sent.seconds,
        sent.packets as f64 / sent.seconds.max(1e-3)
    );
}

/// Reads six bytes like `02:00:00:00:0b:01`.
pub(crate) fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    let wrong = || format!("{text} is no Ethernet address, like 02:00:00:00:0b:01");
    bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_addresses_are_read_or_refused() {
        assert_eq!(parse_mac("02:00:00:00:0b:01"), Ok([2, 0, 0, 0, 0x0b, 1]));
        for wrong in ["", "02:00:00:00:0b", "02:00:00:00:0b:01:02", "02:00:00:00:0b:100", "02-00-00-00-0b-01"]
        {
            assert!(parse_mac(wrong).is_err_and(|why| why.contains(wrong)), "{wrong}");
        }
    }
}
