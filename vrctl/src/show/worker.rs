//! Worker threads, their frames and rings.

use serde_json::Value;

use crate::table::Column::{Left, Right};
use crate::table::Table;
use crate::value::{Mismatch, at, cell, list};

pub(crate) fn workers(document: &Value) -> Result<String, Mismatch> {
    Ok(format!("{}\n{}\n{}", load(document)?, frames(document)?, rings(document)?))
}

fn load(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([
        Right("WORKER"),
        Right("CPU"),
        Right("BUSY"),
        Right("BATCHES"),
        Right("SLEEPS"),
        Right("FLOW HITS"),
        Right("FLOW MISSES"),
        Right("REVALIDATIONS"),
    ]);
    for worker in list(document, "")? {
        let share = at(worker, "/busy_share")?.as_f64();
        let share = share.ok_or_else(|| Mismatch::Kind("/busy_share".to_owned(), "number"))?;
        table.row([
            cell(worker, "/worker")?,
            cell(worker, "/cpu")?,
            format!("{:.0}%", share * 100.0),
            cell(worker, "/batches")?,
            cell(worker, "/sleeps")?,
            cell(worker, "/flow_hits")?,
            cell(worker, "/flow_misses")?,
            cell(worker, "/flow_revalidations")?,
        ]);
    }
    Ok(table.to_string())
}

fn frames(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([
        Right("WORKER"),
        Right("FRAMES"),
        Right("FREE"),
        Right("FILL"),
        Right("RX"),
        Right("TX"),
        Right("COMPLETION"),
    ]);
    for worker in list(document, "")? {
        let umem = at(worker, "/umem")?;
        table.row([
            cell(worker, "/worker")?,
            cell(umem, "/total")?,
            cell(umem, "/free")?,
            cell(umem, "/fill")?,
            cell(umem, "/rx")?,
            cell(umem, "/tx")?,
            cell(umem, "/completion")?,
        ]);
    }
    Ok(table.to_string())
}

fn rings(document: &Value) -> Result<String, Mismatch> {
    let mut table = Table::new([
        Right("WORKER"),
        Left("INTERFACE"),
        Right("QUEUE"),
        Right("RX DROPPED"),
        Right("RX FULL"),
        Right("FILL EMPTY"),
        Right("TX EMPTY"),
        Right("RX INVALID"),
        Right("TX INVALID"),
    ]);
    for worker in list(document, "")? {
        for ring in list(worker, "/rings")? {
            table.row([
                cell(worker, "/worker")?,
                cell(ring, "/interface")?,
                cell(ring, "/queue")?,
                cell(ring, "/rx_dropped")?,
                cell(ring, "/rx_ring_full")?,
                cell(ring, "/fill_ring_empty")?,
                cell(ring, "/tx_ring_empty")?,
                cell(ring, "/rx_invalid_descriptors")?,
                cell(ring, "/tx_invalid_descriptors")?,
            ]);
        }
    }
    Ok(table.to_string())
}
