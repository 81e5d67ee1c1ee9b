//! Requests and their answers through the ClusterIP, one at a time over one TCP connection, while the CPUs are kept
//! awake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::awake::Awake;
use crate::course::{Course, System};
use crate::frames::Size;
use crate::generator::Load;
use crate::ground::{BACKENDS, SERVICE, dotted};
use crate::kernel::Steering;

/// Bytes of a request and of an answer.
const MESSAGE: usize = 64;
/// From the beginning of the load to the first request; it ends as long after the last.
const LEAD: Duration = Duration::from_millis(100);
/// Requests before those that count.
const WARM_UP: usize = 200;
/// Flows of the load beside them.
const FLOWS: u64 = 1_000;

/// Round trips, microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RoundTrips {
    pub(crate) system: System,
    /// Load beside them, percent of this system's own rate without loss.
    pub(crate) load_percent: u32,
    /// The same, packets per second; what was sent.
    pub(crate) load_pps: f64,
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Measures without load and, if a rate without loss is known, at 50 and 80 percent of it.
pub(crate) fn measure(course: &mut Course, no_loss: Option<f64>, duration: Duration) -> Vec<RoundTrips> {
    serve(course);
    let _awake = Awake::keep(&course.places[0]);
    course.choose(Size::Fixed(64));
    let loads: &[u32] = if no_loss.is_some() { &[0, 50, 80] } else { &[0] };
    loads.iter().map(|percent| at(course, *percent, no_loss.unwrap_or(0.0), duration)).collect()
}

fn at(course: &mut Course, load_percent: u32, no_loss: f64, duration: Duration) -> RoundTrips {
    course.steer(if load_percent > 0 { Steering::Other } else { Steering::None });
    let service = format!("{}:80", dotted(SERVICE));
    let stream = course.places[0].connect(&service).expect("the service answers");
    let rate = (no_loss * f64::from(load_percent) / 100.0) as u64;
    let (mut times, load_pps) = thread::scope(|scope| {
        let asking = scope.spawn(|| ask(stream, duration));
        let (sent, _) = if rate > 0 {
            course.send(Load { rate, flows: FLOWS, duration: duration + 3 * LEAD })
        } else {
            Default::default()
        };
        let times = asking.join().expect("the client does not panic");
        (times, sent.packets as f64 / sent.seconds.max(1e-3))
    });
    times.sort_unstable();
    let percentile = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)].as_nanos() as f64 / 1e3
    };
    RoundTrips {
        system: course.system,
        load_percent,
        load_pps,
        count: times.len(),
        p50: percentile(0.5),
        p99: percentile(0.99),
        p999: percentile(0.999),
    }
}

fn ask(mut stream: TcpStream, duration: Duration) -> Vec<Duration> {
    stream.set_nodelay(true).expect("an open connection");
    let mut message = [7; MESSAGE];
    let mut ask_once = || {
        let begin = Instant::now();
        stream.write_all(&message).expect("the connection stays");
        stream.read_exact(&mut message).expect("an answer within ten seconds");
        begin.elapsed()
    };
    thread::sleep(LEAD);
    for _ in 0..WARM_UP {
        ask_once();
    }
    let begin = Instant::now();
    let mut times = Vec::with_capacity(1 << 18);
    while begin.elapsed() < duration {
        times.push(ask_once());
    }
    times
}

/// Answers in every backend for as long as the program runs.
fn serve(course: &Course) {
    for pod in course.places.iter().rev().take(BACKENDS.len()) {
        let listener = pod.listen("0.0.0.0:8080");
        thread::spawn(move || answer(&listener));
    }
}

fn answer(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || echo(stream));
    }
}

fn echo(mut stream: TcpStream) {
    let mut message = [0; MESSAGE];
    let _ = stream.set_nodelay(true);
    while stream.read_exact(&mut message).is_ok() && stream.write_all(&message).is_ok() {}
}
