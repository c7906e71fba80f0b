"""What arrives as packets, and what the kernel says of them."""

import contextlib
import struct

from tools.fuzz_targets.target import Run, Seeds


def echo() -> tuple[Run, Seeds]:
    """Read echo replies and what ICMP errors quote."""
    from probes.kit.echo import parse_quote, parse_reply  # noqa: PLC0415

    def run(data: bytes) -> None:
        for family in (4, 6):
            parse_reply(family, data)
            parse_quote(family, data)

    return run, [bytes(16), b"\x45" + bytes(27), b"\x08\0" + bytes(6), b"\x81\0" + bytes(10)]


def kernel_entries() -> tuple[Run, Seeds]:
    """Read error queues, control messages and TCP_INFO: the kernel's, with what routers quote in them."""
    from probes.kit.handshake import read_handshake  # noqa: PLC0415
    from probes.kit.sockets import parse_error, parse_tcp_info  # noqa: PLC0415
    from probes.kit.stamps import control_messages  # noqa: PLC0415

    def run(data: bytes) -> None:
        for family in (4, 6):
            parse_tcp_info(data, family)
        read_handshake(data, 1.0)
        parse_error(data, data[16:])
        list(control_messages(data))

    return run, [bytes(200), struct.pack("=IBBBxII", 111, 2, 3, 3, 0, 0) + b"\x02\0" + bytes(14)]


def icmp_error() -> tuple[Run, Seeds]:
    """Read a router's error with its extensions."""
    from probes.kit.icmp_error import mpls_labels, read_entry, read_stamp  # noqa: PLC0415

    def run(data: bytes) -> None:
        read_entry(data[32:], [(0, 11, data[:32])])
        mpls_labels(data)
        read_stamp(data)

    return run, [struct.pack("=IBBBxII", 113, 2, 11, 0, 0, 8) + b"\x02\0" + bytes(14) + bytes(8) + b"\x20" + bytes(20)]


def hop_packets() -> tuple[Run, Seeds]:
    """Read what answers to packets that died on the way, and what errors quote of them; the first byte chooses."""
    from probes.kit.hop_packets import Datagrams, Echoes, Packets, Syns  # noqa: PLC0415

    token = b"12345678"
    flows: list[Packets] = [Echoes(family, 7, token, 0, raw=raw) for family in (4, 6) for raw in (False, True)]
    flows += [Datagrams(4, token, 0), Syns(4, (40000, 443), 1, bytes(8)), Syns(6, (40000, 443), 1, bytes(32))]

    def run(data: bytes) -> None:
        flow = flows[data[0] % len(flows)] if data else flows[0]
        for read in (flow.quoted, flow.answered, flow.sent):
            read(data[1:])

    return run, [bytes([at]) + flow.packet(3) for at, flow in enumerate(flows)]


def netlink() -> tuple[Run, Seeds]:
    """Read the kernel's notices."""
    from probes.kit.netlink_message import NetlinkDecodeError, notices, route_answer  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(NetlinkDecodeError):
            notices(data)
        with contextlib.suppress(NetlinkDecodeError):
            route_answer(data, 1)

    return run, [struct.pack("=IHHII", 32, 16, 0, 1, 0) + bytes(16), struct.pack("=IHHII", 36, 24, 0, 1, 0) + bytes(20)]


def ntp() -> tuple[Run, Seeds]:
    """Read what a time server answers."""
    from probes.kit.ntp_message import Reply, offset_and_delay, parse_reply  # noqa: PLC0415

    cookie = b"12345678"

    def run(data: bytes) -> None:
        for reply in (parse_reply(data, cookie), parse_reply(data[:24] + cookie + data[32:], cookie)):
            if isinstance(reply, Reply):
                offset_and_delay(reply, 1795468800.0, 0.1)

    return run, [b"\x24\x01" + bytes(22) + cookie + b"\xee" * 16, b"\x24\0" + bytes(10) + b"RATE" + bytes(32)]
