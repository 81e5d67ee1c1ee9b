//! Keeping the CPUs from going to sleep: in a virtual machine it takes longer to wake one (some 50 us) than a request
//! and its answer take, and whether that happens depends on where the scheduler puts the two ends.

use std::process::{Child, Stdio};

use tests::Namespace;

/// A busy loop on every CPU, at a rank (`SCHED_IDLE`) that gives way to everything else at once.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    /// From now on, until the value goes. The loops run in `place`, so that they go with it in any case.
    pub(crate) fn keep(place: &Namespace) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |cpu: usize| {
            let cpu = cpu.to_string();
            let mut command = place.command("taskset");
            command.args(["-c", &cpu, "chrt", "--idle", "0", "sh", "-c", "while :; do :; done"]);
            command.stdin(Stdio::null()).spawn().expect("`taskset` and `chrt` can be run (util-linux)")
        };
        Self((0..cpus).map(spin).collect())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
