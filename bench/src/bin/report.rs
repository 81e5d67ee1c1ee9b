//! Prints what `cargo bench` has left under `<target>/criterion` as a Markdown table.
//!
//! Cycles are those of the TSC: nanoseconds times the frequency that the kernel states (`bogomips` of
//! /proc/cpuinfo is twice the TSC frequency in MHz). The core itself may run faster or slower.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One benchmark.
struct Row {
    id: String,
    /// Nanoseconds per element: median, and the bounds of its 95 % confidence interval.
    nanos: [f64; 3],
}

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let mut rows = Vec::new();
    collect(&target.join("criterion"), &mut rows)?;
    rows.sort_by(|a, b| natural(&a.id).cmp(&natural(&b.id)));
    let mhz = tsc_mhz(&fs::read_to_string("/proc/cpuinfo")?).ok_or("/proc/cpuinfo has no line bogomips")?;
    println!("TSC: {mhz:.0} MHz\n");
    println!("| benchmark | ns | 95 % interval | cycles |\n|---|--:|---|--:|");
    for Row { id, nanos: [median, low, high] } in rows {
        let cycles = median * mhz / 1000.0;
        println!("| {id} | {median:.2} | {low:.2} to {high:.2} | {cycles:.0} |");
    }
    Ok(())
}

fn collect(directory: &Path, rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    let there = || format!("{}: run cargo bench -p bench first", directory.display());
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", there()))? {
        let path = entry?.path();
        if path.join("benchmark.json").is_file() && path.ends_with("new") {
            rows.push(read(&path)?);
        } else if path.is_dir() {
            collect(&path, rows)?;
        }
    }
    Ok(())
}

fn read(directory: &Path) -> Result<Row, Box<dyn Error>> {
    let json = |name| -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::from_slice(&fs::read(directory.join(name))?)?)
    };
    let (benchmark, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let number = |pointer: &str, value: &Value| {
        value
            .pointer(pointer)
            .and_then(Value::as_f64)
            .ok_or_else(|| format!("{}: no {pointer}", directory.display()))
    };
    let elements = number("/throughput/Elements", &benchmark)?;
    let id = benchmark.pointer("/full_id").and_then(Value::as_str).ok_or("benchmark.json has no full_id")?;
    let mut nanos = [0.0; 3];
    let fields = ["point_estimate", "confidence_interval/lower_bound", "confidence_interval/upper_bound"];
    for (place, field) in nanos.iter_mut().zip(fields) {
        *place = number(&format!("/median/{field}"), &estimates)? / elements;
    }
    Ok(Row { id: id.to_owned(), nanos })
}

/// Splits a name so that numbers sort by value.
fn natural(id: &str) -> Vec<(u64, &str)> {
    id.split('/').map(|part| (part.parse().unwrap_or(0), part)).collect()
}

fn tsc_mhz(cpuinfo: &str) -> Option<f64> {
    let line = cpuinfo.lines().find(|line| line.starts_with("bogomips"))?;
    Some(line.split_once(':')?.1.trim().parse::<f64>().ok()? / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_is_half_the_bogomips() {
        assert_eq!(tsc_mhz("processor\t: 0\nbogomips\t: 5200.00\n"), Some(2600.0));
        assert_eq!(tsc_mhz("processor\t: 0\n"), None);
    }

    #[test]
    fn names_sort_by_number() {
        assert!(natural("flow/hit/1000") < natural("flow/hit/100000"));
        assert!(natural("a/9") < natural("a/10"));
    }
}
