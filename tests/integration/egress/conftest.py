"""Real servers on the loopback, a scripted resolver, and a record of every address really dialled."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from support.dialling import Dialled, Names

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """A web server that keeps what it was asked."""

    host: str
    port: int
    requests: list[web.BaseRequest] = field(default_factory=list)

    def url(self, path: str = "/", host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"


@pytest.fixture(scope="session")
def _audit() -> Dialled:
    return Dialled()


@pytest.fixture
def dialled(_audit):
    with _audit.heard() as addresses:
        yield addresses


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def serve(stack):
    async def start(handler: Handler, host: str = "127.0.0.1", port: int = 0, tls=None) -> Server:
        server = Server(host=host, port=port)

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            await request.read()
            server.requests.append(request)
            return await handler(request)

        runner = web.ServerRunner(web.Server(answer), handle_signals=False, shutdown_timeout=0.01)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        server.port = runner.addresses[0][1]
        return server

    return start


@pytest.fixture
def serve_raw(stack):
    async def start(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Server:
        async def answer(reader, writer):
            try:
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        stack.callback(listener.close)
        return Server(host="127.0.0.1", port=listener.sockets[0].getsockname()[1])

    return start


@pytest.fixture
def names() -> type[Names]:
    return Names


@pytest.fixture
def client_for(stack):
    async def start(*allow: str, resolver=None, tls=None, **config) -> EgressClient:
        client = EgressClient(EgressConfig(policy=EgressPolicy.parse(allow), **config), resolver=resolver, tls=tls)
        await stack.enter_async_context(client)
        return client

    return start


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate for 127.0.0.1 and shop.example that only the second context trusts; the third is its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("shop.example")]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem)), pem
