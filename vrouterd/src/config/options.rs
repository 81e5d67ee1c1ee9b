//! `[engine]` and `[http]`: sections in which every key has a default.

use core::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::model::{Attach, Engine, Http, HugePages, Wait, ZeroCopy};
use super::place::At;
use super::problem::{Reported, quote};
use super::scalar;
use super::section::{Item, Section};
use crate::http::VifSeries;

/// More workers than this is a slip of the keyboard.
const MOST_WORKERS: u16 = 64;
/// CPU numbers end below this (CONFIG_NR_CPUS of x86-64 is at most 8192).
const LAST_CPU: u16 = 8191;
const DEFAULT_FRAMES: u32 = 8192;
const DEFAULT_BATCH: u16 = 64;
const DEFAULT_FLOWS: u32 = 262_144;
/// Each pair of networks is seven series of `/metrics`.
const DEFAULT_TRAFFIC_PAIRS: u32 = 200;
const MOST_TRAFFIC_PAIRS: u32 = 10_000;
/// By default one vif may have this part of all flows.
const VIF_SHARE: u32 = 16;

pub(super) fn engine(mut section: Section<'_>) -> Result<Engine, Reported> {
    let workers = section.optional("workers", |item| scalar::small(item, 1..=MOST_WORKERS, ""));
    let cpus = section.or_default("cpus", Vec::new(), cpus);
    let attach = section.or_default("attach", Attach::Auto, |item| {
        let choices = [("auto", Attach::Auto), ("native", Attach::Native), ("generic", Attach::Generic)];
        scalar::choice(item, &choices)
    });
    let zero_copy = section.or_default("zero_copy", ZeroCopy::Prefer, |item| {
        scalar::choice(item, &[("prefer", ZeroCopy::Prefer), ("off", ZeroCopy::Off)])
    });
    let wait = section.or_default("wait", Wait::Adaptive, |item| {
        scalar::choice(item, &[("adaptive", Wait::Adaptive), ("busy", Wait::Busy)])
    });
    let huge_pages = section.or_default("huge_pages", HugePages::Off, |item| {
        scalar::choice(item, &[("prefer", HugePages::Prefer), ("off", HugePages::Off)])
    });
    let frames = section.or_default("frames", DEFAULT_FRAMES, |i| scalar::medium(i, 1024..=1 << 20));
    let batch = section.or_default("batch", DEFAULT_BATCH, |i| scalar::small(i, 1..=256, " packets"));
    let flows = section.or_default("flows", DEFAULT_FLOWS, |i| scalar::medium(i, 1024..=1 << 24));
    let most = flows.as_ref().copied().unwrap_or(DEFAULT_FLOWS);
    let flows_per_vif =
        section.or_default("flows_per_vif", most / VIF_SHARE, |i| scalar::medium(i, 1..=most));
    section.finish();

    let workers = workers?.unwrap_or_else(|| At { value: 1, place: section.place.clone() });
    let cpus = cpus?;
    if !cpus.is_empty() && cpus.len() != usize::from(workers.value) {
        let what = format!("`cpus` lists {}, `workers` is {}", cpus.len(), workers.value);
        return Err(section.wrong(what, "list one CPU for each worker, or leave `cpus` out"));
    }
    Ok(Engine {
        workers,
        cpus,
        attach: attach?,
        zero_copy: zero_copy?,
        wait: wait?,
        huge_pages: huge_pages?,
        frames: frames?,
        batch: batch?,
        flows: flows?,
        flows_per_vif: flows_per_vif?,
    })
}

fn cpus(item: &Item<'_>) -> Result<Vec<At<u16>>, Reported> {
    let mut seen = Vec::new();
    item.list(|element| {
        let cpu = scalar::small(element, 0..=LAST_CPU, "")?;
        if seen.contains(&cpu) {
            return Err(
                element.wrong(format_args!("CPU {cpu} is listed twice"), "pin each worker to its own")
            );
        }
        seen.push(cpu);
        Ok(cpu)
    })
}

pub(super) fn http(mut section: Section<'_>) -> Result<Http, Reported> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8085));
    let token_file = section.optional("token_file", token_file);
    let guarded = !matches!(token_file, Ok(None));
    let listen = section.or_default("listen", default, |item| listen(item, guarded));
    let vif_metrics = section.or_default("vif_metrics", VifSeries::Hidden, |item| {
        scalar::choice(item, &[("on", VifSeries::Shown), ("off", VifSeries::Hidden)])
    });
    let traffic_pairs = section
        .or_default("traffic_pairs", DEFAULT_TRAFFIC_PAIRS, |i| scalar::medium(i, 0..=MOST_TRAFFIC_PAIRS));
    section.finish();
    Ok(Http {
        listen: listen?,
        token_file: token_file?.map(|at| at.value),
        vif_metrics: vif_metrics?,
        traffic_pairs: traffic_pairs? as usize,
    })
}

fn listen(item: &Item<'_>, guarded: bool) -> Result<SocketAddr, Reported> {
    let text = item.text()?;
    let remedy = "write an address and a port, like \"127.0.0.1:8085\" or \"[::1]:8085\"";
    let Ok(listen) = text.parse::<SocketAddr>() else {
        return Err(item.wrong(format_args!("{} is not an address with a port", quote(text)), remedy));
    };
    if listen.port() == 0 {
        return Err(item.wrong("port 0 leaves the port to chance", remedy));
    }
    if !listen.ip().is_loopback() && !guarded {
        let what = format!("{} can be reached from outside", listen.ip());
        return Err(item.wrong(what, "write a loopback address, or set http.token_file"));
    }
    Ok(listen)
}

fn token_file(item: &Item<'_>) -> Result<PathBuf, Reported> {
    let text = item.text()?;
    if !text.starts_with('/') || text.contains(char::is_control) {
        let what = format!("{} cannot be the token file", quote(text));
        return Err(item.wrong(what, "write an absolute path, like \"/etc/vrouter/token\""));
    }
    Ok(PathBuf::from(text))
}
