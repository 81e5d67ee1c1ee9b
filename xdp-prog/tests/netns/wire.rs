//! Raw frames: building, sending and capturing them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use pnet::datalink::{self, Channel};
use pnet::packet::ipv4::{Ipv4Packet, checksum};
use pnet::packet::tcp::{TcpPacket, ipv4_checksum};

/// UDP port 4000 -> 5000 with no checksum, in Ethernet and any tags (control information, host order).
pub(crate) fn udp_frame(to: [u8; 6], tags: &[u16], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(8 + payload.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend((20 + udp_length).to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1]);
    ip.extend(destination);
    let sum = checksum(&Ipv4Packet::new(&ip).unwrap());
    ip.splice(10..12, sum.to_be_bytes());

    let mut frame = [to, super::topology::GATEWAY_MAC].concat();
    for tag in tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([0x08, 0]);
    frame.extend(ip);
    for field in [4000, 5000, udp_length, 0] {
        frame.extend(field.to_be_bytes());
    }
    frame.extend(payload);
    frame
}

/// Sends a frame out of a device of the thread's namespace.
pub(crate) fn send(device: &str, frame: &[u8]) {
    let interface = datalink::interfaces().into_iter().find(|interface| interface.name == device).unwrap();
    let Channel::Ethernet(mut sender, _receiver) = datalink::channel(&interface, Default::default()).unwrap()
    else {
        panic!("pnet opened something other than an Ethernet channel");
    };
    sender.send_to(frame, None).unwrap().unwrap();
}

/// True if the TCP checksum of an IPv4 packet is finished and right.
pub(crate) fn tcp_checksum_is_right(packet: &[u8]) -> bool {
    let ip = Ipv4Packet::new(packet).unwrap();
    let total = usize::from(ip.get_total_length());
    let tcp = TcpPacket::new(&packet[20..total]).unwrap();
    ipv4_checksum(&tcp, &ip.get_source(), &ip.get_destination()) == tcp.get_checksum()
}

/// tcpdump on a device of the thread's namespace; it shows VLAN tags where the stack has moved them into metadata.
pub(crate) struct Capture {
    tcpdump: Child,
    output: BufReader<ChildStdout>,
}

impl Capture {
    /// Captures `frames` incoming frames that match the filter, for at most ten seconds.
    pub(crate) fn start(device: &str, frames: usize, filter: &str) -> Self {
        let mut tcpdump = Command::new("timeout")
            .args(["10", "tcpdump", "-i", device, "-Q", "in", "-U", "--immediate-mode", "-w", "-"])
            .args(["-c", &frames.to_string(), filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(tcpdump.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(messages.read_line(&mut line).unwrap(), 0, "tcpdump ended before it listened");
        }
        let mut output = BufReader::new(tcpdump.stdout.take().unwrap());
        // The file header of pcap.
        output.read_exact(&mut [0; 24]).unwrap();
        Self { tcpdump, output }
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut header = [0; 16];
        self.output.read_exact(&mut header).expect("no such frame within ten seconds");
        let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.output.read_exact(&mut frame).unwrap();
        frame
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}
