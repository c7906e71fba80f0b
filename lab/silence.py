"""An application that hangs: it accepts, completes the TLS handshake, reads, and never answers.

Usage: `python -m lab.silence ADDRESS:PORT CERTIFICATE KEY`.
"""

import asyncio
import ssl
import sys


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass  # the visitor gave up
    finally:
        writer.close()


async def _serve(address: str, port: int, context: ssl.SSLContext) -> None:
    server = await asyncio.start_server(_hang, address, port, ssl=context)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    where, certificate, key = sys.argv[1:]
    address, _, port = where.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    asyncio.run(_serve(address, int(port), context))


if __name__ == "__main__":
    main()
