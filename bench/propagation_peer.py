"""One host of bench.propagation: it says "ready", waits for "go", and says when it has everything.

    python -m bench.propagation_peer gossip|tcp|quic NUMBER COUNT SOURCE_HOST OWN_HOST CASE

Host 0 is the source.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import pickle
import ssl
import sys
import tempfile
import time
from pathlib import Path

from bench.validation import Case
from edgenode.gossip.service import GossipService
from edgenode.gossip.settings import GossipSettings
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.keys import MemberKey
from edgenode.protocol.instant import Instant
from edgenode.protocol.places import SOUGHT_PEERS
from edgenode.storage.chain import SqliteChainStore

PORT = 7070
WARD_KEY = bytes(32)


def say(text: str) -> None:
    print(text, flush=True)


async def told_to_go() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def done() -> None:
    say(f"done {time.monotonic()}")


async def gossip(number: int, count: int, source: str, own: str, case: Case) -> None:
    """The gossip service itself; the source takes up the block as if it had mined it."""
    directory = Path(tempfile.mkdtemp(dir="/dev/shm"))  # no host waits for the disk of another
    store = SqliteChainStore(directory / "chain.db", case.genesis.id)
    chain = Chain(case.genesis, (case.initial,), store)
    settings = GossipSettings(
        name="peer",
        directory=directory,
        api=directory / "api",
        genesis=directory / "genesis",
        ward_key=directory / "ward.key",
        member_key=directory / "member.key",
        sync=(own, PORT),
        broadcast=(own, PORT + 1),
        seeds=() if number == 0 else ((source, PORT),),
    )
    key = MemberKey((1 + number).to_bytes(32))
    service = GossipService(settings, chain, store, WARD_KEY, key)
    running = asyncio.create_task(service.run(lambda: None))
    enough = min(count - 1, SOUGHT_PEERS)
    while len(service.node.links.peers) < enough:  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(0.1)
    say("ready")
    if number == 0:
        await told_to_go()
        chain.add_block(Block.decode(case.block), int(time.time()))
        for payload in case.payloads:
            chain.add_payload(payload)
        service.node.tick(Instant(time.monotonic(), time.time()))
        service._flush()  # noqa: SLF001
        done()
    else:
        await service.wait_for_head(chain.genesis.id, 3600.0)
        done()
    await told_to_go()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def tcp(number: int, source: str, data: bytes) -> None:
    """One connection to each host."""
    if number == 0:
        go = asyncio.Event()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await go.wait()
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                writer.close()

        server = await asyncio.start_server(serve, source, PORT)
        say("ready")
        await told_to_go()
        go.set()
        done()
        await told_to_go()
        server.close()
        return
    reader, _ = await connected(source)
    say("ready")
    check(await reader.read(-1), data)
    done()
    await told_to_go()


async def connected(source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection(source, PORT)
        except OSError:
            await asyncio.sleep(0.2)


def check(got: bytes, data: bytes) -> None:
    if hashlib.sha256(got).digest() != hashlib.sha256(data).digest():
        raise SystemExit(f"{len(got)} bytes came, not the {len(data)} that were sent")


async def quic(number: int, source: str, data: bytes) -> None:
    """One connection to each host, by aioquic."""
    from aioquic.asyncio import connect, serve  # noqa: PLC0415  (only this peer needs it)
    from aioquic.quic.configuration import QuicConfiguration  # noqa: PLC0415

    if number == 0:
        configuration = QuicConfiguration(is_client=False, idle_timeout=600.0)
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = certified(Path(folder))
            configuration.load_cert_chain(certificate, key)
        go = asyncio.Event()
        sending: set[asyncio.Task[None]] = set()

        async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            await go.wait()
            writer.write(data)
            writer.write_eof()

        def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sending.add(asyncio.ensure_future(send(reader, writer)))

        await serve(source, PORT, configuration=configuration, stream_handler=handle)
        say("ready")
        await told_to_go()
        go.set()
        done()
        await told_to_go()
        return
    configuration = QuicConfiguration(is_client=True, idle_timeout=600.0)
    configuration.verify_mode = ssl.CERT_NONE
    configuration.max_stream_data = configuration.max_data = 2 * len(data)
    async with connect(source, PORT, configuration=configuration) as client:
        reader, writer = await client.create_stream()
        writer.write(b"?")
        say("ready")
        check(await reader.read(-1), data)
        done()
        await told_to_go()


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate that nobody has to believe, and its key."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def main() -> None:
    role, number, count, source, own, path = sys.argv[1:]
    case = pickle.loads(Path(path).read_bytes())  # noqa: S301  (written by bench.propagation)
    data = case.block + b"".join(case.payloads)
    match role:
        case "gossip":
            asyncio.run(gossip(int(number), int(count), source, own, case))
        case "tcp":
            asyncio.run(tcp(int(number), source, data))
        case "quic":
            asyncio.run(quic(int(number), source, data))


if __name__ == "__main__":
    main()
