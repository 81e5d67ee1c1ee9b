//! TCP and UDP between pods: services that say who they are and whom they saw, and transfers whose every byte
//! is compared.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CHUNK: usize = 64 * 1024;
/// UDP's length field has 16 bits.
const LARGEST_DATAGRAM: usize = 0x10000;
/// Longest that a service takes to notice that it shall stop.
const PAUSE: Duration = Duration::from_millis(5);

/// How a service introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The pod that answers.
    pub backend: String,
    /// The client's address and port as the pod sees them.
    pub client: SocketAddr,
}

impl Greeting {
    fn parse(line: &str) -> io::Result<Self> {
        let parsed = line.trim_end().split_once(' ').and_then(|(backend, client)| {
            Some(Self { backend: backend.to_owned(), client: client.parse().ok()? })
        });
        parsed.ok_or_else(|| io::Error::other(format!("no greeting: {line:?}")))
    }
}

/// A server in a pod; it ends with the value.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Greets each TCP client with `name` and the client's address, then sends back what it gets.
    pub(crate) fn tcp(name: &str, listener: TcpListener) -> Self {
        let name = name.to_owned();
        listener.set_nonblocking(true).expect("a listener can be polled");
        Self::start(move || match listener.accept() {
            Ok((stream, client)) => {
                let name = name.clone();
                thread::spawn(move || greet_and_echo(&name, stream, client));
            }
            Err(_) => thread::sleep(PAUSE),
        })
    }

    /// Answers each datagram with `name`, the client's address and the datagram.
    pub(crate) fn udp(name: &str, socket: UdpSocket) -> Self {
        let name = name.to_owned();
        socket.set_read_timeout(Some(PAUSE)).expect("a short timeout");
        Self::start(move || {
            let mut datagram = [0; LARGEST_DATAGRAM];
            if let Ok((length, client)) = socket.recv_from(&mut datagram) {
                let mut answer = format!("{name} {}\n", canonical(client)).into_bytes();
                answer.extend_from_slice(&datagram[..length]);
                let _ = socket.send_to(&answer, client);
            }
        })
    }

    fn start(mut step: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                step();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one client; a client that goes away ends it.
fn greet_and_echo(name: &str, mut stream: TcpStream, client: SocketAddr) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(format!("{name} {}\n", canonical(client)).as_bytes())?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk)? {
            0 => return stream.shutdown(Shutdown::Write),
            length => stream.write_all(&chunk[..length])?,
        }
    }
}

/// An IPv4 client of a socket for both families is shown as an IPv4 client.
fn canonical(client: SocketAddr) -> SocketAddr {
    SocketAddr::new(client.ip().to_canonical(), client.port())
}

/// Reads the greeting of a TCP service.
///
/// # Errors
/// What reading meets.
pub fn tcp_greeting(stream: &TcpStream) -> io::Result<Greeting> {
    let mut line = String::new();
    // One byte at a time, so that nothing behind the line is taken.
    BufReader::with_capacity(1, stream).read_line(&mut line)?;
    Greeting::parse(&line)
}

/// Sends `message` over an open connection and checks that it comes back.
///
/// # Errors
/// What the connection meets.
///
/// # Panics
/// When something else comes back.
pub fn echo(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(message)?;
    let mut back = vec![0; message.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, message, "another message came back");
    Ok(())
}

/// Sends a datagram to a UDP service and gives its greeting.
///
/// # Errors
/// What the socket meets, a timeout among it.
///
/// # Panics
/// When the datagram comes back changed.
pub fn udp_greeting(socket: &UdpSocket, service: &str, message: &[u8]) -> io::Result<Greeting> {
    socket.send_to(message, service)?;
    let mut answer = [0; LARGEST_DATAGRAM];
    let (length, from) = socket.recv_from(&mut answer)?;
    assert_eq!(from.to_string(), service, "the answer comes from another address");
    let end = answer[..length].iter().position(|byte| *byte == b'\n').expect("a greeting is a line");
    assert_eq!(&answer[end + 1..length], message, "the datagram came back changed");
    Greeting::parse(&String::from_utf8_lossy(&answer[..end]))
}

/// `length` bytes that look random and do not repeat within a prime number of bytes, so that a lost, doubled or
/// displaced segment is seen.
pub fn pattern(length: usize) -> impl Iterator<Item = Vec<u8>> {
    const PERIOD: usize = 1_000_003;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        // xorshift64 (Marsaglia, Xorshift RNGs, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(PERIOD)
    .collect();
    (0..length).step_by(PERIOD).map(move |start| block[..PERIOD.min(length - start)].to_vec())
}

/// Sends `length` bytes to a TCP service, which sends them back, and compares every byte.
///
/// # Errors
/// What the connection meets.
///
/// # Panics
/// When a byte that comes back is another one, or there are too few or too many.
pub fn transfer(stream: TcpStream, length: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    tcp_greeting(&stream)?;
    let mut sending = stream.try_clone()?;
    let sender = thread::spawn(move || -> io::Result<()> {
        pattern(length).try_for_each(|block| sending.write_all(&block))?;
        sending.shutdown(Shutdown::Write)
    });
    let mut receiving = BufReader::with_capacity(CHUNK, stream);
    let mut done = 0;
    for block in pattern(length) {
        let mut back = vec![0; block.len()];
        receiving.read_exact(&mut back)?;
        let wrong = block.iter().zip(&back).position(|(sent, came)| sent != came);
        assert_eq!(wrong.map(|at| done + at), None, "a byte came back changed, first at this place");
        done += block.len();
    }
    assert_eq!(receiving.read(&mut [0])?, 0, "more came back than was sent");
    sender.join().expect("the sender does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_names_itself_and_its_client_and_echoes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _service = Server::tcp("web", listener);
        let mut stream = TcpStream::connect(address).unwrap();
        let greeting = tcp_greeting(&stream).unwrap();
        assert_eq!(greeting, Greeting { backend: "web".to_owned(), client: stream.local_addr().unwrap() });
        echo(&mut stream, b"hello").unwrap();
        transfer(TcpStream::connect(address).unwrap(), 3_000_000).unwrap();
    }

    #[test]
    fn datagrams_are_answered_with_the_name() {
        let service = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = service.local_addr().unwrap().to_string();
        let _service = Server::udp("dns", service);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let greeting = udp_greeting(&client, &address, b"question").unwrap();
        assert_eq!(greeting, Greeting { backend: "dns".to_owned(), client: client.local_addr().unwrap() });
    }
}
