//! The three rtnetlink requests aya has no call for (rtnetlink(7)).

use std::io;

use aya::programs::loaded_programs;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp};
use netlink_packet_route::tc::{TcHandle, TcMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::device::Device;
use crate::error::{Error, ForeignProgram};

/// The XDP program on the device, whoever put it there (IFLA_XDP). Needs no privilege.
pub(crate) fn xdp_program(device: &Device) -> Result<Option<ForeignProgram>, Error> {
    let mut link = LinkMessage::default();
    link.header.index = device.index.get();
    let answers = request(RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST)
        .map_err(|source| Error::Netlink { device: device.to_string(), source })?;
    let id = answers.iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => xdp_id(&link.attributes),
        _ => None,
    });
    Ok(id.map(|id| ForeignProgram { id, name_and_tag: name_and_tag(id) }))
}

fn xdp_id(attributes: &[LinkAttribute]) -> Option<u32> {
    let xdp = attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => Some(xdp),
        _ => None,
    })?;
    xdp.iter().find_map(|entry| match entry {
        // The three others appear when more than one mode has a program.
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) => {
            (*id != 0).then_some(*id)
        }
        _ => None,
    })
}

/// Walking the kernel's programs takes CAP_SYS_ADMIN; without it the id alone must do.
fn name_and_tag(id: u32) -> Option<(String, u64)> {
    let info = loaded_programs().map_while(Result::ok).find(|info| info.id() == id)?;
    Some((info.name_as_str()?.to_owned(), info.tag()))
}

/// Takes the clsact qdisc off the device unless a filter still needs it.
pub(crate) fn remove_unused_clsact(device: &Device) -> io::Result<()> {
    for minor in [TcHandle::MIN_INGRESS, TcHandle::MIN_EGRESS] {
        let filters = tc_message(device, TcHandle { major: u16::MAX, minor });
        let found = request(RouteNetlinkMessage::GetTrafficFilter(filters), NLM_F_REQUEST | NLM_F_DUMP)?;
        if !found.is_empty() {
            return Ok(());
        }
    }
    let mut clsact = tc_message(device, TcHandle::CLSACT);
    clsact.header.handle = TcHandle { major: u16::MAX, minor: 0 };
    let request_flags = NLM_F_REQUEST | NLM_F_ACK;
    request(RouteNetlinkMessage::DelQueueDiscipline(clsact), request_flags).map(|_| ())
}

fn tc_message(device: &Device, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::default();
    // The crate keeps `tcm_ifindex` as the signed field it is in the kernel.
    message.header.index = device.index.get().cast_signed();
    message.header.parent = parent;
    message
}

/// Sends one request and collects its answers up to the ACK, the end of the dump, or (for a plain GET) the
/// one answer.
fn request(payload: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;

    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(payload));
    message.header.flags = flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let one_answer = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        if collect(&datagram, &mut answers)? || one_answer {
            return Ok(answers);
        }
    }
}

/// Adds the messages of one datagram; true when the kernel said that it was the last.
fn collect(datagram: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let length = usize::try_from(message.header.length).unwrap_or(rest.len());
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            _ => {}
        }
        // Messages are aligned to four bytes, netlink(7).
        rest = rest.get(length.max(1).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}
