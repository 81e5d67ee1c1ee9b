//! Packets per second, one way.

use std::time::Duration;

use serde::Serialize;

use crate::course::{Course, System, Way};
use crate::frames::Size;
use crate::kernel::Steering;
use crate::layout::build;
use crate::options::Scope;
use crate::search::{Trial, search};

/// What was found for one system, way, size of frames and number of flows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) way: Way,
    pub(crate) system: System,
    /// Bytes of the pod's frame with frame check sequence, or IMIX.
    pub(crate) frame: String,
    pub(crate) flows: u64,
    /// Packets per second without loss.
    pub(crate) no_loss: f64,
    /// Packets per second that arrived under flood.
    pub(crate) saturated: f64,
    /// All trials, in their order.
    pub(crate) trials: Vec<Trial>,
}

/// Frame sizes and numbers of flows that are tried.
fn plan(scope: Scope) -> Vec<(Size, u64)> {
    let small = Size::Fixed(64);
    match scope {
        Scope::Quick => vec![(small, 1_000)],
        Scope::Full => vec![
            (small, 1),
            (small, 1_000),
            (small, 60_000),
            (Size::Fixed(512), 1_000),
            (Size::Fixed(1500), 1_000),
            (Size::Imix, 1_000),
        ],
    }
}

fn systems(way: Way) -> &'static [System] {
    match way {
        Way::Client | Way::Backend => &[System::Vrouter, System::Forwarder, System::Kernel],
        Way::Path => &[System::Vrouter, System::Kernel],
    }
}

/// The courses of a way.
pub(crate) fn courses(way: Way) -> Vec<Course> {
    systems(way).iter().map(|system| build(*system, way)).collect()
}

/// Measures everything on the courses of a way. The systems take turns with each size, so that a slow minute of the
/// machine meets them all.
pub(crate) fn measure(courses: &mut [Course], scope: Scope) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (size, flows) in plan(scope) {
        for course in courses.iter_mut() {
            let cell = one(course, size, flows, scope.trial());
            println!(
                "  {:12}  {:9}  {:>4} bytes  {flows:>6} flows  {:>9.0} pps without loss  {:>9.0} under flood",
                cell.way, cell.system, cell.frame, cell.no_loss, cell.saturated
            );
            cells.push(cell);
        }
    }
    cells
}

fn one(course: &mut Course, size: Size, flows: u64, trial: Duration) -> Cell {
    course.choose(size);
    course.steer(Steering::Other);
    let mut trials = Vec::new();
    let found = search(|rate| {
        let trial = course.trial(rate, flows, trial);
        trials.push(trial);
        trial
    });
    Cell {
        way: course.way,
        system: course.system,
        frame: size.name(),
        flows,
        no_loss: found.no_loss,
        saturated: found.saturated,
        trials,
    }
}
