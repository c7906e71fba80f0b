"""What tells of tunnels: gateways, kernels, and Azure."""

import contextlib
import struct

from tools.fuzz_targets.target import Run, Seeds


def vici() -> tuple[Run, Seeds]:
    """Read what speaks on strongSwan's socket, its log, and what a client asks the gate."""
    from probes.kit.charon_log import LogReader  # noqa: PLC0415
    from probes.kit.charon_view import last_words, read_view, tunnels  # noqa: PLC0415
    from probes.kit.vici import ViciError, parse  # noqa: PLC0415
    from probes.kit.vici_gate import decide  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(ViciError):
            decide(data)
        with contextlib.suppress(ViciError):
            message = parse(data).message
            view = read_view([message], [message], message)
            tunnels(view)
            list(last_words("child-rekey", message))
            LogReader().take(message, 0.0, view.peers)
        line = {"msg": data, "ikesa-name": b"(unnamed)", "ikesa-uniqueid": b"1"}
        LogReader().take(line, 0.0, {})

    section = b"\x01\x01a\x03\x01b\0\x01c\x04\x01d\x05\0\x01e\x06\x02"
    said = b"retransmit 1 of request with message ID 2"
    return run, [b"\x07\x03ike" + section, b"\x01" + section, b"\x00\x08list-sas" + section, said]


def ike() -> tuple[Run, Seeds]:
    """Read what answers on port 500."""
    from probes.ike import read_datagram  # noqa: PLC0415

    spi = b"12345678"

    def run(data: bytes) -> None:
        read_datagram(spi + data, b"", spi)

    body = struct.pack("!BBHBBH", 0, 0, 8, 0, 0, 14)
    return run, [bytes(8) + struct.pack("!BBBBII", 41, 0x20, 34, 0x20, 0, 28 + len(body)) + body]


def wireguard() -> tuple[Run, Seeds]:
    """Read what a WireGuard interface tells, as text and as the kernel's bytes."""
    from probes.kit.wireguard_device import WireguardError, read_messages, read_text  # noqa: PLC0415

    def run(data: bytes) -> None:
        with contextlib.suppress(WireguardError):
            read_text(data)
        with contextlib.suppress(WireguardError):
            read_messages([(28, data)])

    text = b"public_key=" + b"00" * 32 + b"\nendpoint=192.0.2.1:1\nrx_bytes=1\nallowed_ip=10.0.0.0/8\nerrno=0\n\n"
    peer = struct.pack("=HH32sHHQ", 36, 1, bytes(32), 12, 7, 9)
    return run, [text, bytes(4) + struct.pack("=HHHH", 8 + len(peer), 8, 4 + len(peer), 0) + peer]


def xfrm() -> tuple[Run, Seeds]:
    """Read the kernel's IPsec state."""
    from probes.kit.xfrm_message import XfrmError, read_associations, read_policies, read_statistics  # noqa: PLC0415

    def run(data: bytes) -> None:
        for read, kind in ((read_associations, 16), (read_policies, 19)):
            with contextlib.suppress(XfrmError):
                read([(kind, data)])
        read_statistics(data.decode("latin-1"))

    family = bytes(212) + b"\x02" + bytes(11)
    return run, [family + struct.pack("=HH68s", 72, 18, b"rfc4106(gcm(aes))"), bytes(232), b"XfrmInError 0\n"]


def azure() -> tuple[Run, Seeds]:
    """Read what Azure says of a VPN connection and of its health."""
    from probes.kit.azure_connection import read_connection, read_health  # noqa: PLC0415
    from probes.kit.https_exchange import Reply  # noqa: PLC0415

    def run(data: bytes) -> None:
        reply = Reply(status=200, headers={}, body=data)
        read_connection(reply)
        read_health(reply)

    tunnel = (
        b'{"tunnel":"vpn_Instance_0","connectionStatus":"Connected","ingressBytesTransferred":1,'
        b'"egressBytesTransferred":2,"lastConnectionEstablishedUtcTime":"11/23/2026 01:02:03 PM"}'
    )
    policy = b'{"saLifeTimeSeconds":27000,"ipsecEncryption":"GCMAES256","dhGroup":"DHGroup14","pfsGroup":"PFS14"}'
    connection = b'{"properties":{"connectionStatus":"Connected","tunnelConnectionStatus":[%s],"ipsecPolicies":[%s]}}'
    health = b'{"properties":{"availabilityState":"Unavailable","reasonType":"Unplanned"}}'
    return run, [connection % (tunnel, policy), health]
