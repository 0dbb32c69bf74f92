"""A certificate is renewed while a server shows it: whoever connects next sees the new one, and never a broken one."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from certificates import Pair
from crm_mcp.tls import shown


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path, "one.example")


@asynccontextmanager
async def serving(pair):
    """Serve with a pair; yield a function that returns the first name of the certificate that a client is shown."""

    async def answer(reader, writer):
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=shown(pair.cert, pair.key)(None, None))
    port = server.sockets[0].getsockname()[1]

    async def name(called="one.example"):
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=called)
        seen = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()
        return seen.subject.rfc4514_string().removeprefix("CN=")

    async with server:
        yield name


def replaced(pair, other, *, cert=True, key=True):
    """Put another pair's files in place of a pair's, as whoever renews certificates does."""
    for is_wanted, old, new in ((cert, pair.cert, other.cert), (key, pair.key, other.key)):
        if is_wanted:
            new.replace(old)


@pytest.fixture
def said():
    """Return what the log says, as it grows."""
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("called", ["one.example", ""], ids=["by its name", "by its address"])
async def test_whoever_connects_after_the_files_were_replaced_sees_the_new_certificate(pair, tmp_path, called):
    async with serving(pair) as name:
        assert await name(called) == "one.example"
        replaced(pair, Pair(tmp_path, "two.example", name="two"))
        assert await name(called) == "two.example"
        replaced(pair, Pair(tmp_path, "three.example", name="three"))
        assert await name(called) == "three.example"


async def test_between_the_two_files_the_old_certificate_is_shown(pair, tmp_path, said):
    other = Pair(tmp_path, "two.example", name="two")
    async with serving(pair) as name:
        replaced(pair, other, key=False)
        assert [await name(), await name()] == ["one.example"] * 2
        assert [line["event"] for line in said] == ["certificate not renewed, the old one stays"]
        replaced(pair, other, cert=False)
        assert await name() == "two.example"


@pytest.mark.parametrize("how", ["nonsense", "gone", "locked"])
async def test_a_broken_pair_is_said_once_and_the_old_certificate_stays(pair, tmp_path, said, how):
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"x")
    async with serving(pair) as name:
        if how == "nonsense":
            pair.cert.write_text("not a certificate")
        elif how == "gone":
            pair.key.unlink()
        else:
            pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
            pair.key.write_bytes(key.private_bytes(*pem, lock))
        assert [await name(), await name()] == ["one.example"] * 2
        assert [line["event"] for line in said] == ["certificate not renewed, the old one stays"]
        replaced(pair, Pair(tmp_path, "two.example", name="two"))
        assert await name() == "two.example"
