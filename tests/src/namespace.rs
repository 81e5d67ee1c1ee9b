//! A network namespace and sockets in it.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command;

/// How long a socket waits for the other side before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first `ip netns add` of a machine mounts /run/netns, and two at once get into each other's way.
static ADDING: Mutex<()> = Mutex::new(());

/// A network namespace; gone when the value goes.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it, with loopback up and without IPv6 duplicate address detection, which would only cost time.
    ///
    /// # Panics
    /// When it cannot be made, as without root.
    pub fn new(name: &str) -> Self {
        {
            let _one_at_a_time = ADDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            command::run(&["ip", "netns", "add", name]);
        }
        let namespace = Self { name: name.to_owned() };
        namespace.within(|| {
            for interfaces in ["all", "default"] {
                set(&format!("/proc/sys/net/ipv6/conf/{interfaces}/accept_dad"), "0");
                set(&format!("/proc/sys/net/ipv6/conf/{interfaces}/accept_ra"), "0");
                set(&format!("/proc/sys/net/ipv6/conf/{interfaces}/disable_ipv6"), "0");
            }
        });
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs something on another thread that is in the namespace. Sockets made there stay there.
    ///
    /// # Panics
    /// When `action` does.
    pub fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let file = File::open(format!("/run/netns/{}", self.name)).expect("the namespace exists");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter");
        };
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter();
                action()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Lets `ip` do a list of its commands here, one a line.
    ///
    /// # Panics
    /// When one fails.
    pub fn ip(&self, commands: &str) {
        command::ip_batch(&self.name, commands);
    }

    /// A command that will run here, `/sys` included.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command line here, which must succeed, and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, line: &str) -> String {
        command::run(&self.words(line))
    }

    /// Runs a command line here and gives how it ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn attempt(&self, line: &str) -> Output {
        command::attempt(&self.words(line))
    }

    fn words<'a>(&'a self, line: &'a str) -> Vec<&'a str> {
        ["ip", "netns", "exec", &self.name].into_iter().chain(line.split_whitespace()).collect()
    }

    /// Listens here.
    ///
    /// # Panics
    /// When the address cannot be had.
    pub fn listen(&self, address: &str) -> TcpListener {
        self.within(|| TcpListener::bind(address))
            .unwrap_or_else(|error| panic!("listen on {address}: {error}"))
    }

    /// Connects from here; reads and writes give up after ten seconds.
    ///
    /// # Errors
    /// What `connect` meets, or that nobody answers in ten seconds.
    ///
    /// # Panics
    /// When `address` is none.
    pub fn connect(&self, address: &str) -> io::Result<TcpStream> {
        self.connect_within(address, PATIENCE)
    }

    /// Connects from here within `patience`, which reads and writes get as well.
    ///
    /// # Errors
    /// What `connect` meets, or that nobody answers in time.
    ///
    /// # Panics
    /// When `address` is none.
    pub fn connect_within(&self, address: &str, patience: Duration) -> io::Result<TcpStream> {
        let address: SocketAddr = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        let stream = self.within(|| TcpStream::connect_timeout(&address, patience))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(stream)
    }

    /// A UDP socket here; receiving gives up after ten seconds.
    ///
    /// # Panics
    /// When the address cannot be had.
    pub fn udp(&self, address: &str) -> UdpSocket {
        let bound = self.within(|| UdpSocket::bind(address));
        let socket = bound.unwrap_or_else(|error| panic!("bind {address}: {error}"));
        socket.set_read_timeout(Some(PATIENCE)).expect("ten seconds are a timeout");
        socket
    }

    /// The names of the interfaces here, in order.
    ///
    /// # Panics
    /// When `ip` fails.
    pub fn links(&self) -> Vec<String> {
        let shown = command::run(&["ip", "-n", &self.name, "-json", "link", "show"]);
        let links: serde_json::Value = serde_json::from_str(&shown).expect("`ip -json` writes JSON");
        let name = |link: &serde_json::Value| link["ifname"].as_str().expect("a link has a name").to_owned();
        let mut names: Vec<String> = links.as_array().expect("a list of links").iter().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A failure here must not hide why a test is panicking; the next run removes what is left.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

fn set(path: &str, value: &str) {
    fs::write(path, value).unwrap_or_else(|error| panic!("write {value} to {path}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "`no-such-tool` cannot be run")]
    fn a_missing_tool_is_named() {
        let namespace = Namespace::new(&format!("{}tool", crate::leftovers::prefix()));
        namespace.attempt("no-such-tool --help");
    }
}
