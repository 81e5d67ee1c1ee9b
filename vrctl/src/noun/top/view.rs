//! Rates as text.

use serde_json::Value;

use super::Order;
use crate::table::Column::{Left, Right, State};
use crate::table::Table;
use crate::value::{Mismatch, at, cell, list};

/// One view; the most important first, as a screen may be short.
pub(super) fn text(rates: &Value, order: Order) -> Result<String, Mismatch> {
    let uplink = at(rates, "/uplink")?;
    let head = format!(
        "{}: uplink rx {} packets/s {} bit/s, tx {} packets/s {} bit/s, drops {}/s; {} flows, room for {}\n",
        cell(rates, "/node")?,
        rate(uplink, "/rx_packets")?,
        rate(uplink, "/rx_bits")?,
        rate(uplink, "/tx_packets")?,
        rate(uplink, "/tx_bits")?,
        rate(uplink, "/drops")?,
        cell(rates, "/flows")?,
        cell(rates, "/flow_capacity")?,
    );
    Ok([head, workers(rates)?, drops(rates)?, vifs(rates, order)?].join("\n"))
}

fn workers(rates: &Value) -> Result<String, Mismatch> {
    let columns =
        [Right("WORKER"), Right("BUSY"), Right("BATCHES/S"), Right("FLOW HITS/S"), Right("FLOW MISSES/S")];
    let mut table = Table::new(columns);
    for worker in list(rates, "/workers")? {
        table.row([
            cell(worker, "/worker")?,
            format!("{:.0}%", float(worker, "/busy_share")? * 100.0),
            rate(worker, "/batches")?,
            rate(worker, "/flow_hits")?,
            rate(worker, "/flow_misses")?,
        ]);
    }
    Ok(table.to_string())
}

fn drops(rates: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([Left("DROP REASON"), Right("PACKETS/S"), Left("MEANING")]);
    for drop in list(rates, "/drops")? {
        table.row([cell(drop, "/reason")?, rate(drop, "/per_second")?, cell(drop, "/meaning")?]);
    }
    Ok(if table.is_empty() { "no packet is dropped\n".to_owned() } else { table.to_string() })
}

fn vifs(rates: &Value, order: Order) -> Result<String, Mismatch> {
    let mut vifs = Vec::new();
    for vif in list(rates, "/vifs")? {
        let weight = match order {
            Order::Packets => float(vif, "/rx_packets")? + float(vif, "/tx_packets")?,
            Order::Bits => float(vif, "/rx_bits")? + float(vif, "/tx_bits")?,
            Order::Drops => float(vif, "/drops")?,
            Order::Name => 0.0,
        };
        vifs.push((weight, cell(vif, "/name")?, vif));
    }
    vifs.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let mut table = Table::new([
        Left("VIF"),
        Right("RX PACKETS/S"),
        Right("TX PACKETS/S"),
        Right("RX BIT/S"),
        Right("TX BIT/S"),
        Right("DROPS/S"),
        State("STATE"),
    ]);
    for (_, name, vif) in vifs {
        table.row([
            name,
            rate(vif, "/rx_packets")?,
            rate(vif, "/tx_packets")?,
            rate(vif, "/rx_bits")?,
            rate(vif, "/tx_bits")?,
            rate(vif, "/drops")?,
            cell(vif, "/state")?,
        ]);
    }
    Ok(table.to_string())
}

fn float(of: &Value, pointer: &str) -> Result<f64, Mismatch> {
    at(of, pointer)?.as_f64().ok_or_else(|| Mismatch::Kind(pointer.to_owned(), "number"))
}

fn rate(of: &Value, pointer: &str) -> Result<String, Mismatch> {
    Ok(short(float(of, pointer)?))
}

/// A rate with a prefix of the SI, of at most four digits.
fn short(rate: f64) -> String {
    let scales = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    // What rounds to 1000 belongs to the next scale.
    let scale = scales.iter().find(|(scale, _)| rate >= scale * 0.9995);
    match scale {
        None => format!("{rate:.0}"),
        Some((scale, prefix)) => {
            let scaled = rate / scale;
            let digits = if scaled < 9.995 {
                2
            } else if scaled < 99.95 {
                1
            } else {
                0
            };
            format!("{scaled:.digits$}{prefix}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_short() {
        let table = [
            (0.0, "0"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (1234.0, "1.23k"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
            (999_700.0, "1.00M"),
            (2_500_000_000.0, "2.50G"),
        ];
        for (rate, expected) in table {
            assert_eq!(short(rate), expected, "{rate}");
        }
    }

    #[test]
    fn vifs_are_in_the_order_that_is_asked_for() {
        let vif = |name: &str, packets: f64, bits: f64, drops: f64| {
            json!({ "name": name, "state": "up", "rx_packets": packets, "tx_packets": 0.0, "rx_bits": bits,
                    "tx_bits": 0.0, "drops": drops })
        };
        let rates =
            json!({ "vifs": [vif("c", 1.0, 9.0, 0.0), vif("a", 2.0, 1.0, 0.0), vif("b", 0.0, 0.0, 5.0)] });
        let names = |order| {
            let text = anstream::adapter::strip_str(&vifs(&rates, order).unwrap()).to_string();
            text.lines().skip(1).map(|line| line.chars().next().unwrap()).collect::<String>()
        };
        let orders =
            [(Order::Packets, "acb"), (Order::Bits, "cab"), (Order::Drops, "bac"), (Order::Name, "abc")];
        for (order, expected) in orders {
            assert_eq!(names(order), expected, "{order:?}");
        }
    }
}
