"""Reads a capture (pcap, Ethernet) and shows the first MPLS-over-UDP packet for a given inner destination."""

import ipaddress
import struct
import sys


def frames(data):
    """The frames of a pcap file, in the byte order of this machine."""
    magic, = struct.unpack_from("=I", data)
    if magic != 0xA1B2C3D4:
        sys.exit("not a pcap file of this machine")
    at = 24
    while at + 16 <= len(data):
        length, = struct.unpack_from("=8xI4x", data, at)
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def ipv4(packet):
    """Source, destination, protocol, TTL and payload."""
    size = 4 * (packet[0] & 15)
    total, = struct.unpack_from("!2xH", packet)
    source, destination = (ipaddress.ip_address(packet[at:at + 4]) for at in (12, 16))
    return source, destination, packet[9], packet[8], packet[size:total]


def show(frame):
    """Prints the layers of an outer packet."""
    source, destination, _, ttl, udp = ipv4(frame[14:])
    source_port, port, length, checksum = struct.unpack_from("!4H", udp)
    entry, = struct.unpack_from("!I", udp, 8)
    print(f"  Ethernet  {frame[6:12].hex(':')} > {frame[0:6].hex(':')}, {len(frame)} bytes")
    print(f"  IPv4      {source} > {destination}, ttl {ttl}, header checksum {'ok' if header_ok(frame[14:34]) else 'WRONG'}")
    print(f"  UDP       {source_port} > {port}, length {length}, checksum {checksum}")
    print(f"  MPLS      label {entry >> 12}, bottom of stack {entry >> 8 & 1}, ttl {entry & 255}")
    source, destination, protocol, ttl, payload = ipv4(udp[12:])
    print(f"  IPv4      {source} > {destination}, ttl {ttl}, protocol {protocol}")
    if protocol == 6:
        ports = struct.unpack_from("!2H", payload)
        flags = "".join(name for bit, name in enumerate("FSRPAU") if payload[13] >> bit & 1)
        print(f"  TCP       {ports[0]} > {ports[1]}, flags {flags}")


def header_ok(header):
    """Whether the checksum of an IPv4 header without options is right (RFC 1071)."""
    total = sum(struct.unpack("!10H", header))
    return (total & 0xFFFF) + (total >> 16) in (0xFFFF, 0x1FFFE)


def is_wanted(frame, wanted):
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[36:38] != struct.pack("!H", 6635):
        return False
    return frame[46] >> 4 == 4 and ipaddress.ip_address(frame[62:66]) == wanted


path, address = sys.argv[1], ipaddress.ip_address(sys.argv[2])
with open(path, "rb") as capture:
    found = next((frame for frame in frames(capture.read()) if is_wanted(frame, address)), None)
if found is None:
    sys.exit(f"no outer packet with the inner destination {address} was captured")
show(found)
