"""Certificates of a test authority, and a process that ends TLS before a server as a clinic's own proxy would.

Run as `python -m tests.support.certificates CERT KEY LISTEN_HOST LISTEN_PORT HOST PORT`; bytes pass unread.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.processes import Program, answers

READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of one server certificate with its key, and of the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


def issue(folder: Path, *names: str) -> Certificate:
    """A certificate for host names or addresses, from an authority made for it alone."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    paths = Certificate(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    paths.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(paths.key)
    authority.cert_pem.write_to_path(paths.authority)
    return paths


def tls_front(
    certificate: Certificate,
    listen: tuple[str, int],
    target: tuple[str, int],
    log: Path,
    inside: tuple[str, ...] = (),
) -> Program:
    """Starts the TLS end at `listen`, forwarding to `target`; `inside` prefixes the command (a namespace)."""
    module = [sys.executable, "-m", "tests.support.certificates"]
    where = [str(certificate.certificate), str(certificate.key), listen[0], str(listen[1]), target[0], str(target[1])]
    program = Program([*inside, *module, *where], log=log, cwd=Path(__file__).parents[2])
    program.wait_ready(lambda: answers(*listen) if not inside else "listening" in program.output())
    return program


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(READ_BYTES):
            writer.write(chunk)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def _serve(context: ssl.SSLContext, listen: tuple[str, int], target: tuple[str, int]) -> None:

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind_reader, behind_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))

    server = await asyncio.start_server(connected, *listen, ssl=context)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    chain, secret, host, port, target_host, target_port = sys.argv[1:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, secret)
    asyncio.run(_serve(tls, (host, int(port)), (target_host, int(target_port))))
