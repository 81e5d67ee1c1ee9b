//! Taking one capability from the calling thread for a moment, to see what its absence does.

/// `linux/capability.h`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Capability {
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
}

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Runs `body` on this thread without the capability being effective.
pub(crate) fn without<T>(capability: Capability, body: impl FnOnce() -> T) -> T {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut before = [Sets::default(); 2];
    // SAFETY: header and before are live and of the shape version 3 asks for.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, before.as_mut_ptr()) };
    assert_eq!(got, 0, "capget: {}", std::io::Error::last_os_error());
    let mut less = before;
    less[0].effective &= !(1 << capability as u32);
    set(&less);
    let result = body();
    set(&before);
    result
}

fn set(sets: &[Sets; 2]) {
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: header and sets are live and of the shape version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", std::io::Error::last_os_error());
}

/// Lowers the process's soft memlock limit. Threads with CAP_IPC_LOCK do not feel it.
pub(crate) fn limit_memlock(bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit is live and is what the call fills.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) }, 0);
    limit.rlim_cur = bytes;
    // SAFETY: limit is live and only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
}
