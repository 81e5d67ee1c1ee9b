//! `vrctl top` on a terminal: a pseudo-terminal of ours.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::nouns::daemon;

/// Longest wait for something to appear.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is on the screen so far, once `expected` is.
fn until(terminal: &mut File, expected: &str) -> String {
    let (mut seen, began) = (Vec::new(), Instant::now());
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if text.contains(expected) {
            return text;
        }
        assert!(began.elapsed() < PATIENCE, "{expected:?} does not appear in {text:?}");
        let mut waiting = [PollFd::new(terminal, PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
        if !waiting[0].revents().contains(PollFlags::IN) {
            continue;
        }
        let mut chunk = [0; 4096];
        let read = terminal.read(&mut chunk).unwrap();
        seen.extend_from_slice(&chunk[..read]);
    }
}

#[test]
fn top_fills_the_terminal_and_gives_it_back() {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let cooked = tcgetattr(&theirs).unwrap().local_modes;
    assert!(cooked.contains(LocalModes::ICANON | LocalModes::ECHO));
    let stdio = || Stdio::from(theirs.try_clone().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_vrctl"))
        .args(["--socket", daemon(), "top"])
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    let mut terminal = File::from(ours);
    let shown = until(&mut terminal, "web-2");
    assert!(shown.contains("\u{1b}[?1049h") && shown.contains("node-a: uplink rx 0 packets/s"), "{shown:?}");
    assert!(!tcgetattr(&theirs).unwrap().local_modes.contains(LocalModes::ICANON), "the terminal is raw");
    terminal.write_all(b"nq").unwrap();
    until(&mut terminal, "\u{1b}[?1049l");
    assert!(child.wait().unwrap().success());
    assert_eq!(tcgetattr(&theirs).unwrap().local_modes, cooked);
}
