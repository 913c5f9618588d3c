"""A gateway that nobody of this project wrote: scapy's AH and ESP answer echo requests under manual keys.

Argument: JSON with local, remote, and per direction ("in", "out") the SAs from the inner to the outer one, each
{"protocol": "esp"|"ah", "spi", "cipher", "cipherKey", "hash", "hashKey"}, keys in hexadecimal. Prints "ready", then a
line per packet: "echo", or "bad" with what scapy found wrong. Addresses are IPv4.
"""

import json
import socket
import sys

from scapy.layers.inet import ICMP, IP
from scapy.layers.ipsec import AH, ESP, SecurityAssociation
from scapy.packet import Raw, raw

options = json.loads(sys.argv[1])


def association(spec, tunnel):
    """The inner one of a bundle makes the tunnel; AH around it only adds its header to what stands there."""
    return SecurityAssociation(
        AH if spec["protocol"] == "ah" else ESP,
        spi=spec["spi"],
        crypt_algo=spec["cipher"] if spec["protocol"] == "esp" else None,
        crypt_key=bytes.fromhex(spec["cipherKey"]) if spec["protocol"] == "esp" else None,
        auth_algo=spec["hash"],
        auth_key=bytes.fromhex(spec["hashKey"]),
        tunnel_header=tunnel,
    )


def chain(specs, source, destination):
    header = IP(src=source, dst=destination, id=7, ttl=64)
    return [association(spec, header if place == 0 else None) for place, spec in enumerate(specs)]


inbound = chain(options["in"], options["remote"], options["local"])
outbound = chain(options["out"], options["local"], options["remote"])
protocol = 51 if options["in"][-1]["protocol"] == "ah" else 50
receiver = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def open_packet(data):
    packet = IP(data)
    for sa in reversed(inbound):
        packet = sa.decrypt(IP(raw(packet)), verify=True)
    return IP(raw(packet))


def put_ah_around(sa, packet):
    """encrypt() would sign the ESP packet that it sees inside; sign() itself is right once ESP is mere bytes."""
    header = IP(raw(packet))
    body = raw(header.payload)
    header.remove_payload()
    ah = AH(nh=header.proto, spi=sa.spi, seq=sa.seq_num, icv=bytes(sa.auth_algo.icv_size))
    ah.payloadlen = len(ah) // 4 - 2
    header.proto = 51
    header.len = len(header) + len(ah) + len(body)
    del header.chksum
    sa.seq_num += 1
    return sa.auth_algo.sign(IP(raw(header)) / ah / Raw(body), sa.auth_key)


def protect(packet):
    packet = outbound[0].encrypt(packet)
    return raw(put_ah_around(outbound[1], packet) if len(outbound) > 1 else packet)


def answer(packet):
    reply = IP(src=packet.dst, dst=packet.src, ttl=63, id=packet.id)
    reply /= ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq) / raw(packet[ICMP].payload)
    return protect(IP(raw(reply)))


print("ready", flush=True)
while True:
    data, _ = receiver.recvfrom(65535)
    try:
        packet = open_packet(data)
    except Exception as error:
        print("bad", type(error).__name__, error, flush=True)
        continue
    if packet.haslayer(ICMP) and packet[ICMP].type == 8:
        print("echo", flush=True)
        sender.sendto(answer(packet), (options["remote"], 0))
