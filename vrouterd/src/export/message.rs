//! IPFIX messages (RFC 7011 section 3): a header, and sets of records of one template each.

use flow_table::{Addr, Family};

/// What a record says: a direction of a flow since the last record about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// IP version of everything in it.
    pub family: Family,
    /// IP protocol.
    pub protocol: u8,
    /// Source as the packets come in, and as they leave.
    pub source: [End; 2],
    /// Destination as the packets come in, and as they leave.
    pub destination: [End; 2],
    /// Packets since the last record.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// First packet of the flow, milliseconds since 1970.
    pub start: u64,
    /// Last packet of this direction, milliseconds since 1970.
    pub end: u64,
    /// VRF that the packets come from.
    pub ingress_vrf: u32,
    /// VRF that they go to.
    pub egress_vrf: u32,
}

/// Address and port.
pub type End = (Addr, u16);

/// Numbers of IANA's registry of information elements, with the bytes of each.
type Field = (u16, u16);

/// Template ids; those below 256 are reserved (RFC 7011 section 3.4.1).
const fn template(family: Family) -> u16 {
    match family {
        Family::V4 => 256,
        Family::V6 => 257,
    }
}

/// sourceIPv4Address and the like, in the order of [`Message::push`].
const fn fields(family: Family) -> [Field; 16] {
    let (addresses, size) = match family {
        Family::V4 => ([8, 12, 225, 226], 4),
        Family::V6 => ([27, 28, 281, 282], 16),
    };
    let [source, destination, nat_source, nat_destination] = addresses;
    [
        (source, size),
        (destination, size),
        (nat_source, size),
        (nat_destination, size),
        (7, 2),   // sourceTransportPort
        (11, 2),  // destinationTransportPort
        (227, 2), // postNAPTSourceTransportPort
        (228, 2), // postNAPTDestinationTransportPort
        (4, 1),   // protocolIdentifier
        (2, 8),   // packetDeltaCount
        (1, 8),   // octetDeltaCount
        (152, 8), // flowStartMilliseconds
        (153, 8), // flowEndMilliseconds
        (234, 4), // ingressVRFID
        (235, 4), // egressVRFID
        (34, 4),  // samplingInterval: one flow in so many is exported, counts are as they are
    ]
}

const VERSION: u16 = 10;
const TEMPLATE_SET: u16 = 2;
const HEADER: usize = 16;
const SET_HEADER: usize = 4;
/// Fits the smallest MTU of IPv6 behind IP and UDP headers (RFC 7011 section 10.3.3 asks for no fragments).
const LONGEST: usize = 1280 - 40 - 8;

/// A message in the making.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
    /// Where the last set begins, and its template.
    set: Option<(usize, u16)>,
    records: u32,
}

impl Message {
    /// An empty one.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(LONGEST);
        bytes.resize(HEADER, 0);
        Self { bytes, set: None, records: 0 }
    }

    /// Data records in it.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// The templates of both families, which a collector must know before it understands a record.
    pub fn templates() -> Self {
        let mut message = Self::new();
        message.begin(TEMPLATE_SET);
        for family in [Family::V4, Family::V6] {
            let fields = fields(family);
            message.put(&template(family).to_be_bytes());
            message.put(&(fields.len() as u16).to_be_bytes());
            for (element, size) in fields {
                message.put(&element.to_be_bytes());
                message.put(&size.to_be_bytes());
            }
        }
        message
    }

    /// Adds a record; false when there is no room.
    pub fn push(&mut self, record: &Record, sampling: u32) -> bool {
        let id = template(record.family);
        let size: usize = fields(record.family).iter().map(|(_, size)| usize::from(*size)).sum();
        let is_new = self.set.is_none_or(|(_, set)| set != id);
        if self.bytes.len() + size + if is_new { SET_HEADER } else { 0 } > LONGEST {
            return false;
        }
        if is_new {
            self.begin(id);
        }
        let ends = [record.source, record.destination];
        for (address, _) in [ends[0][0], ends[1][0], ends[0][1], ends[1][1]] {
            match record.family {
                Family::V4 => self.put(&address.v4_bytes()),
                Family::V6 => self.put(&address.v6_bytes()),
            }
        }
        for (_, port) in [ends[0][0], ends[1][0], ends[0][1], ends[1][1]] {
            self.put(&port.to_be_bytes());
        }
        self.put(&[record.protocol]);
        for count in [record.packets, record.bytes, record.start, record.end] {
            self.put(&count.to_be_bytes());
        }
        for number in [record.ingress_vrf, record.egress_vrf, sampling] {
            self.put(&number.to_be_bytes());
        }
        self.records += 1;
        true
    }

    /// The bytes to send: `seconds` since 1970, `sequence` data records sent before (RFC 7011 section 3.1).
    pub fn finish(mut self, seconds: u32, sequence: u32, domain: u32) -> Vec<u8> {
        self.end_set();
        let mut header = Vec::with_capacity(HEADER);
        header.extend(VERSION.to_be_bytes());
        header.extend((self.bytes.len() as u16).to_be_bytes());
        for word in [seconds, sequence, domain] {
            header.extend(word.to_be_bytes());
        }
        self.bytes.splice(..HEADER, header);
        self.bytes
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn begin(&mut self, id: u16) {
        self.end_set();
        self.set = Some((self.bytes.len(), id));
        self.put(&id.to_be_bytes());
        self.put(&[0, 0]);
    }

    /// Writes the length of the last set.
    fn end_set(&mut self) {
        if let Some((start, _)) = self.set.take() {
            let length = (self.bytes.len() - start) as u16;
            if let Some(place) = self.bytes.get_mut(start + 2..start + 4) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}
