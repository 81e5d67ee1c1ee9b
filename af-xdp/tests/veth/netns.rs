//! A network namespace that lives as long as the test's thread, so that nothing is left behind.

use std::process::Command;

/// Runs the test on a thread in a network namespace of its own.
pub(crate) fn in_own_netns(test: impl FnOnce() + Send + 'static) {
    let run = move || {
        // SAFETY: moves the calling thread alone into a new network namespace.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        let error = std::io::Error::last_os_error();
        assert_eq!(
            result, 0,
            "this test needs root: CAP_SYS_ADMIN to make a network namespace, \
             CAP_NET_ADMIN to make devices, CAP_NET_RAW for AF_XDP ({error})"
        );
        test();
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with these words; children start in the calling thread's namespace.
pub(crate) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("iproute2 must be installed");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a veth pair, both ends up, and returns their indices.
pub(crate) fn veth_pair(here: &str, there: &str) -> (u32, u32) {
    ip(&format!("link add {here} type veth peer name {there}"));
    ip(&format!("link set {here} up"));
    ip(&format!("link set {there} up"));
    (index(here), index(there))
}

fn index(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: name is a terminated string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "{name:?}: {}", std::io::Error::last_os_error());
    index
}
