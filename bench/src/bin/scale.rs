//! How the cost of a packet, of a change and of memory grow with the size of the configuration, and what workers
//! and changes cost each other. Prints Markdown tables; takes about two minutes. Times are wall times, so the machine
//! should be quiet; the packets come from memory (see `bench::replay`).

use std::error::Error;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bench::frames::{Traffic, Transport};
use bench::node::{Load, Node};
use bench::topology::{self, Bystanders};
use dataplane::compile::Compiler;
use dataplane::publish::Publisher;
use flow_table::Millis;

const USUAL: Load = Load {
    traffic: Traffic::Client,
    transport: Transport::Udp,
    flows: 1000,
    batch: 64,
    rules: 0,
    bystanders: Bystanders::NONE,
};
/// How long each figure is measured.
const PERIOD: Duration = Duration::from_secs(3);
const LARGE: Bystanders = Bystanders { routes: 100_000, vifs: 0, services: 5000 };
/// How often routes change under traffic.
const CHANGES_PER_SECOND: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    cost_by_size();
    compile_times()?;
    workers();
    changes_under_traffic()?;
    Ok(())
}

/// Nanoseconds per packet: the best of five short runs, as anything else on the machine only adds.
fn cost(node: &mut Node) -> f64 {
    let run = |node: &mut Node| {
        let (start, mut packets) = (Instant::now(), 0);
        while start.elapsed() < PERIOD / 10 {
            packets += (0..100).map(|_| node.round()).sum::<usize>();
        }
        start.elapsed().as_nanos() as f64 / packets as f64
    };
    (0..5).map(|_| run(node)).fold(f64::INFINITY, f64::min)
}

fn cost_by_size() {
    println!(
        "| beside 64 pods, 32 services, 1,004 routes | client, ns per packet | backend, ns per packet |"
    );
    println!("|---|--:|--:|");
    let rows = [
        ("nothing", Bystanders::NONE),
        ("186 idle vifs (250 in all)", Bystanders { vifs: 186, ..Bystanders::NONE }),
        ("100,000 routes", Bystanders { routes: 100_000, ..Bystanders::NONE }),
        ("5,000 services of 10 backends", Bystanders { services: 5000, ..Bystanders::NONE }),
        ("100,000 routes and 5,000 services", LARGE),
    ];
    for (name, bystanders) in rows {
        let [client, backend] = [Traffic::Client, Traffic::Backend]
            .map(|traffic| cost(&mut Node::warm(Load { traffic, bystanders, ..USUAL })));
        println!("| {name} | {client:.0} | {backend:.0} |");
    }
    println!();
}

fn compile_times() -> Result<(), Box<dyn Error>> {
    let mut desired = topology::desired();
    topology::add(&mut desired, LARGE);
    let mut compiler = Compiler::default();
    let start = Instant::now();
    let mut publisher = Publisher::new(compiler.compile(&desired)?);
    println!("| 100,000 routes and 5,000 services of 10 backends | ms |\n|---|--:|");
    println!("| compiled for the first time | {:.1} |", millis(start.elapsed()));
    for n in 0..3 {
        desired.routes.push(topology::bystander_route(200_000 + n));
        let start = Instant::now();
        let next = compiler.compile(&desired)?;
        let compiled = start.elapsed();
        let start = Instant::now();
        publisher.publish(next);
        let published = start.elapsed();
        let (compiled, published) = (millis(compiled), millis(published));
        println!("| compiled again after one more route | {compiled:.2} |\n| published | {published:.4} |");
    }
    println!();
    Ok(())
}

fn workers() {
    let mut node = Node::warm(Load { flows: 100_000, ..USUAL });
    let one = rate(&mut [&mut |now| node.halves().0.round(now)]);
    let mut second = node.fellow();
    let two = rate(&mut [&mut |now| node.halves().0.round(now), &mut |now| second.round(now)]);
    println!("| workers on the same 100,000 flows | million packets per second | ratio |\n|---|--:|--:|");
    println!("| 1 | {:.2} | |\n| 2 | {:.2} | {:.2} |\n", one / 1e6, two / 1e6, two / one);
}

/// Packets per second of all workers together, each in a thread.
fn rate(workers: &mut [&mut (dyn FnMut(Millis) -> usize + Send)]) -> f64 {
    let (barrier, packets) = (Barrier::new(workers.len()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in workers.iter_mut() {
            let (barrier, packets) = (&barrier, &packets);
            scope.spawn(move || {
                barrier.wait();
                let (start, mut own) = (Instant::now(), 0);
                while start.elapsed() < PERIOD {
                    let now = Millis(2_000_000 + start.elapsed().as_millis() as u64);
                    own += (0..100).map(|_| worker(now)).sum::<usize>();
                }
                packets.fetch_add(own, Relaxed);
            });
        }
    });
    packets.load(Relaxed) as f64 / PERIOD.as_secs_f64()
}

fn changes_under_traffic() -> Result<(), Box<dyn Error>> {
    println!(
        "| {CHANGES_PER_SECOND} route changes a second | million packets per second | change | latency of a change, ms |"
    );
    println!("|---|--:|--:|--:|");
    for (name, bystanders) in
        [("1,004 routes", Bystanders::NONE), ("100,000 routes and 5,000 services", LARGE)]
    {
        let load = Load { bystanders, ..USUAL };
        let quiet = rate_under(&mut Node::warm(load), None)?.0;
        let (changed, latency) = rate_under(&mut Node::warm(load), Some(load))?;
        let change = (changed / quiet - 1.0) * 100.0;
        println!("| {name}, none | {:.2} | | |", quiet / 1e6);
        println!("| {name}, with | {:.2} | {change:+.1} % | {latency:.2} |", changed / 1e6);
    }
    Ok(())
}

/// Packets per second of one worker while another thread changes routes, and the mean time from change to publication.
fn rate_under(node: &mut Node, changes: Option<Load>) -> Result<(f64, f64), Box<dyn Error>> {
    let (worker, compiler, publisher) = node.halves();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let control = scope.spawn(|| match changes {
            Some(load) => change_routes(load, (compiler, publisher), &done),
            None => Ok(0.0),
        });
        let rate = rate(&mut [&mut |now| worker.round(now)]);
        done.store(true, Relaxed);
        let latency = control.join().map_err(|_| "the control thread panicked")??;
        Ok((rate, latency))
    })
}

fn change_routes(
    load: Load,
    (compiler, publisher): (&mut Compiler, &mut Publisher),
    done: &AtomicBool,
) -> Result<f64, dataplane::compile::CompileError> {
    let mut desired = topology::guarded(load.rules);
    topology::add(&mut desired, load.bystanders);
    let (start, mut changes, mut working) = (Instant::now(), 0u32, Duration::ZERO);
    while !done.load(Relaxed) {
        let begun = Instant::now();
        desired.routes.push(topology::bystander_route(200_000 + changes));
        publisher.publish(compiler.compile(&desired)?);
        working += begun.elapsed();
        changes += 1;
        let next = Duration::from_secs(1) * changes / CHANGES_PER_SECOND;
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    Ok(millis(working) / f64::from(changes.max(1)))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
