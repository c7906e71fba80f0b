"""Run the simulator; see README.md."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from lab.microsoft.exchange import Tenant
from lab.microsoft.server import Simulator, tls


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.microsoft", description="Microsoft login and Graph, simulated."
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDR:PORT", help="port 0: any free one")
    parser.add_argument("--cert", required=True, help="PEM certificate chain")
    parser.add_argument("--key", required=True, help="PEM private key")
    parser.add_argument("--tenant", required=True, help="directory (tenant) id")
    parser.add_argument("--client-id", required=True, help="application (client) id")
    parser.add_argument("--secret-file", required=True, type=Path, help="file with the application's client secret")
    parser.add_argument("--certificate-file", type=Path, help="PEM certificate that the application knows too")
    parser.add_argument("--token-file", type=Path, help="another issuer's token that the application trusts")
    parser.add_argument(
        "--identity-listen", metavar="ADDR:PORT", help="the metadata service of a virtual machine, plain"
    )
    parser.add_argument("--arc-key-file", type=Path, help="a key of Azure Arc's: its metadata service answers too")
    parser.add_argument("--state", required=True, type=Path, help="JSON file that says what to do; may be missing")
    return parser.parse_args(arguments)


async def run(given: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    tenant = Tenant(
        id=given.tenant,
        client_id=given.client_id,
        secret=given.secret_file.read_text().rstrip("\r\n"),
        certificate=given.certificate_file.read_text() if given.certificate_file else "",
        trusted_token=given.token_file.read_text().rstrip("\r\n") if given.token_file else "",
        arc_key=given.arc_key_file.read_text() if given.arc_key_file else "",
        arc_key_file=str(given.arc_key_file or ""),
    )
    simulator = Simulator(tenant, given.state, sys.stdout)
    host, _, port = given.listen.rpartition(":")
    server = await asyncio.start_server(
        simulator.accept, host.strip("[]"), int(port), ssl=tls(given.cert, given.key), ssl_handshake_timeout=10.0
    )
    plain: asyncio.Server | None = None
    if given.identity_listen:
        host, _, port = given.identity_listen.rpartition(":")
        plain = await asyncio.start_server(simulator.accept, host.strip("[]"), int(port))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    name = server.sockets[0].getsockname()
    at = {"identity_port": plain.sockets[0].getsockname()[1]} if plain else {}
    simulator.log(event="listening", address=name[0], port=name[1], **at)
    await stop.wait()
    server.close()
    if plain:
        plain.close()
    await simulator.end()


if __name__ == "__main__":
    asyncio.run(run(options()))
