//! Binding a worker to its CPU.

use std::io;
use std::mem::MaybeUninit;

use crate::error::Error;

/// Lets the calling thread run on this CPU only (`sched_setaffinity(2)`).
///
/// # Errors
/// [`Error::NoCpu`] if the CPU does not exist or is not allowed, [`Error::System`] otherwise.
pub fn pin_current_thread(cpu: usize) -> Result<(), Error> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(Error::NoCpu { cpu });
    }
    // SAFETY: a cpu_set_t is an array of integers, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: cpu is below CPU_SETSIZE, so the bit is inside the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: set is live and its size is given with it; 0 means the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    match source.raw_os_error() {
        Some(libc::EINVAL) => Err(Error::NoCpu { cpu }),
        _ => Err(Error::System { call: "sched_setaffinity", source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_moves_to_the_cpu() {
        std::thread::spawn(|| {
            // SAFETY: takes nothing, returns a number.
            let here = unsafe { libc::sched_getcpu() };
            pin_current_thread(usize::try_from(here).unwrap()).unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
            assert_eq!(allowed.trim(), here.to_string());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        for cpu in [1023, 1024, usize::MAX] {
            assert!(matches!(pin_current_thread(cpu), Err(Error::NoCpu { cpu: named }) if named == cpu));
        }
    }
}
