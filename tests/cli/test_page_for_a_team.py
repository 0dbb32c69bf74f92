"""The page for people on other machines: by TLS of its own or behind a proxy, and never in the clear."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import stat
import sys
from contextlib import asynccontextmanager

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization

from browser import hidden
from certificates import Pair
from crm_mcp.approvals.origin import NotAnOrigin, origin_of
from crm_mcp.approvals.whereabouts import Whereabouts
from crm_mcp.cli.hosting import seat
from crm_mcp.config import Settings

PATIENCE = 60


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path, "localhost")


@pytest.fixture
def environment(elsewhere, tmp_path):
    """Whoever runs the page: no desktop, a home that is not there yet, a database of somebody else's."""
    dropped = ("CRM_", "DISPLAY", "WAYLAND_DISPLAY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **elsewhere}


class Up:
    """A running `crm-mcp up`."""

    def __init__(self, process, said):
        self.process, self.said = process, said

    @property
    def origin(self):
        return re.search(r"page is at (\S+);", self.said)[1]

    async def ended(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def up(environment, *words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "crm_mcp", "up", *words),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while "page is at" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
        yield Up(process, said)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_team_signs_in_over_tls_and_the_rest_of_the_machine_finds_the_page(
    environment, pair, team_crm, monkeypatch, tmp_path
):
    port = free_port()
    public = f"https://localhost:{port}"
    environment["CRM_APPROVALS_URL"] = public
    monkeypatch.setenv("CRM_APPROVALS_URL", public)
    link = (await asyncio.to_thread(team_crm, "users", "link", "--print-link", "--org", "demo", "mia@demo.example")).stdout  # fmt: skip
    async with up(environment, "--bind", f"0.0.0.0:{port}", *pair.words) as page:
        assert page.origin == public
        here = Whereabouts.read(tmp_path / "home")
        assert (here.origin, here.at) == (public, f"https://127.0.0.1:{port}")
        await until(here.answers)
        assert not here._replace(word="somebody else").answers()
        trusting = ssl.create_default_context(cafile=str(pair.cert))
        async with httpx2.AsyncClient(base_url=public, verify=trusting, timeout=60) as client:
            shown = await client.get(link.strip())
            answer = await client.post("/login", data=hidden(shown.text), headers={"origin": public})
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"].lower()
            assert {"secure", "httponly", "samesite=strict"} <= set(cookie.split("; "))
            assert "Mia Moreau" in (await client.get("/")).text
            renewed = Pair(tmp_path, "localhost", name="renewed")
            for new, old in ((renewed.cert, pair.cert), (renewed.key, pair.key)):
                new.replace(old)
            assert "Mia Moreau" in (await client.get("/")).text  # the connection that is open stays
        trusting = ssl.create_default_context(cafile=str(pair.cert))
        async with httpx2.AsyncClient(base_url=public, verify=trusting, cookies=client.cookies) as client:
            assert "Mia Moreau" in (await client.get("/")).text
            forged = await client.post("/logout", data={"csrf": "x"}, headers={"origin": f"http://localhost:{port}"})
            assert forged.status_code == 403
        with socket.create_connection(("127.0.0.1", port), timeout=10) as clear:
            clear.settimeout(10)
            clear.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                told = clear.recv(100)
            except ConnectionError:
                told = b""
            assert b"200" not in told and b"Approvals" not in told
        told = await asyncio.to_thread(team_crm, "status", "--json")
        assert json.loads(told.stdout)["approvalsPage"] == public
        code = await page.ended()
        assert code in (0, -signal.SIGTERM)


async def test_behind_a_proxy_the_page_knows_its_own_name_and_believes_no_header_about_it(environment, tmp_path):
    port = free_port()
    environment["CRM_APPROVALS_URL"] = "https://crm.firm.example"
    async with up(environment, "--bind", f"127.0.0.1:{port}") as page:
        assert page.origin == "https://crm.firm.example"
        here = Whereabouts.read(tmp_path / "home")
        await until(here.answers)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            ours = {"host": "crm.firm.example"}
            assert (await client.get("/login", headers=ours)).status_code == 200
            assert (await client.get("/login")).status_code == 421
            forwarded = {"x-forwarded-host": "crm.firm.example", "x-forwarded-proto": "https", "forwarded": "host=crm.firm.example"}  # fmt: skip
            assert (await client.get("/login", headers=forwarded)).status_code == 421
            sent = {"email": "x@y.example"}
            said = {**ours, "origin": "https://crm.firm.example"}
            assert (await client.post("/login/mail", data=sent, headers=said)).status_code == 200
            for origin in ("http://crm.firm.example", "https://crm.firm.example:8443", f"http://127.0.0.1:{port}"):
                foreign = {**ours, "origin": origin, "x-forwarded-host": "evil.example"}
                assert (await client.post("/login/mail", data=sent, headers=foreign)).status_code == 403


async def test_whoever_stops_the_page_stops_its_worker(environment, tmp_path):
    async with up(environment, "--bind", f"127.0.0.1:{free_port()}") as page:
        children = f"/proc/{page.process.pid}/task/{page.process.pid}/children"
        if not os.path.exists(children):
            pytest.skip("only Linux lists the children of a process")
        with open(children) as listed:
            (worker,) = listed.read().split()
        await page.ended()
        await until(lambda: not os.path.exists(f"/proc/{worker}"))


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Settings as the environment of a test gives them."""

    def make(**named):
        monkeypatch.setenv("CRM_HOME", str(tmp_path))
        for name, value in named.items():
            monkeypatch.setenv(f"CRM_{name.upper()}", str(value))
        return Settings()

    return make


@pytest.fixture
def seated(known):
    """Take a seat, and leave it at the end."""
    taken = []

    def take(port=None, bind=None, **named):
        taken.append(seat(known(**named), port, bind))
        return taken[-1]

    yield take
    for one in taken:
        one.listener.close()


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
@pytest.mark.parametrize("url", [None, "http://crm.firm.example"])
def test_beyond_this_machine_nothing_goes_in_the_clear(seated, bind, url):
    with pytest.raises(Exception, match="--tls-cert"):
        seated(bind=bind, **({"approvals_url": url} if url else {}))


def test_a_proxy_before_it_may_be_on_another_machine(seated):
    taken = seated(bind="0.0.0.0:0", approvals_url="https://crm.firm.example/")
    assert (taken.origin, taken.tls) == ("https://crm.firm.example", None)
    assert taken.at == f"http://127.0.0.1:{taken.listener.getsockname()[1]}"


def test_without_anything_it_is_on_this_machine_alone(seated):
    taken = seated()
    host, port = taken.listener.getsockname()
    assert (host, taken.origin) == ("127.0.0.1", f"http://localhost:{port}")


def test_a_wildcard_is_no_name_to_reach_it_by(seated, pair):
    with pytest.raises(Exception, match="not where people reach the page"):
        seated(bind="0.0.0.0:0", tls_cert=pair.cert, tls_key=pair.key)


def test_with_a_certificate_the_page_is_no_http_address(seated, pair):
    with pytest.raises(Exception, match="reached by https"):
        seated(bind="127.0.0.1:0", tls_cert=pair.cert, tls_key=pair.key, approvals_url="http://crm.firm.example")


def test_a_name_of_this_machine_is_its_origin(seated, pair):
    taken = seated(bind="localhost:0", tls_cert=pair.cert, tls_key=pair.key)
    port = taken.listener.getsockname()[1]
    assert taken.origin == f"https://localhost:{port}"


def test_a_taken_port_is_said_to_be_taken(seated):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Exception, match="cannot listen on"):
            seated(bind=f"127.0.0.1:{other.getsockname()[1]}")


@pytest.mark.parametrize(
    "bind", ["", "8443", ":8443", "host", "a:b", "127.0.0.1:99999", "127.0.0.1:-1", "https://x:1/", "u@h:1", "h:1/x"]
)
def test_what_is_no_place_to_listen_is_refused(seated, bind):
    with pytest.raises(Exception, match="HOST:PORT"):
        seated(bind=bind)


def test_a_port_and_a_place_are_not_given_both(crm):
    refused = crm("up", "--port", "1", "--bind", "127.0.0.1:1")
    assert refused.exit_code == 2
    assert "not both" in refused.output


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_a_certificate_comes_with_its_key(crm, pair, missing):
    words = pair.words[2:] if missing == "cert" else pair.words[:2]
    refused = crm("up", "--bind", "0.0.0.0:0", *words)
    assert refused.exit_code == 2
    assert "--tls-cert and --tls-key" in refused.output


def test_files_that_are_no_certificate_are_refused(seated, pair, tmp_path):
    other, nonsense = Pair(tmp_path, "other.example", name="other"), tmp_path / "nonsense"
    nonsense.write_text("not a certificate")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    for cert, key_file, said in (
        (nonsense, pair.key, "no TLS certificate"),
        (pair.cert, nonsense, "no TLS certificate"),
        (pair.cert, other.key, "do not belong together"),
        (pair.cert, locked, "password"),
        (tmp_path / "absent", pair.key, "cannot be read"),
        (pair.cert, tmp_path, "cannot be read"),
    ):
        with pytest.raises(Exception, match=said):
            seated(bind="127.0.0.1:0", tls_cert=cert, tls_key=key_file)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://CRM.Firm.example:443/", "https://crm.firm.example"),
        ("http://localhost:8787", "http://localhost:8787"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_spelled_as_browsers_do(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    ["", "crm.firm.example", "ftp://x.example", "https://", "https://x.example/path", "https://x.example/?q",
     "https://u:p@x.example", "https://x.example:99999", "javascript:alert(1)", "https://x.example#f", "https://a..b/"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(url, crm, monkeypatch):
    with pytest.raises(NotAnOrigin):
        origin_of(url)
    if url:
        monkeypatch.setenv("CRM_APPROVALS_URL", url)
        refused = crm("up", "--bind", "127.0.0.1:0")
        assert refused.exit_code == 1
        assert "https://crm.firm.example" in refused.output


def test_an_older_file_of_whereabouts_is_still_read(tmp_path):
    (tmp_path / "approvals.json").write_text('["http://localhost:8790", "abc"]')
    assert Whereabouts.read(tmp_path) == ("http://localhost:8790", "abc", "")
    assert Whereabouts.read(tmp_path).port == 8790


async def test_the_page_is_not_started_where_its_home_could_be_read_by_others(environment, tmp_path):
    async with up(environment, "--bind", f"127.0.0.1:{free_port()}"):
        assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


MIA = ("--user", "mia@demo.example")
REFUSED = [
    (("drafts", *MIA), "keys create"),
    (("export", "orders", "-", *MIA), "keys create"),
    (("import", "customers", __file__, *MIA), "keys create"),
    (("open", *MIA), "users link"),
    (("install", "cursor", *MIA, "--print"), "leave --user and --org out"),
]


@pytest.mark.parametrize(("words", "way_out"), REFUSED, ids=[words[0] for words, _ in REFUSED])
def test_on_a_real_database_an_address_alone_is_refused_with_what_to_do(team_crm, words, way_out):
    refused = team_crm(*words)
    assert refused.exit_code in (1, 2), refused.output
    assert way_out in " ".join(refused.output.split())
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("words", [("drafts",), ("export", "orders", "-")], ids=lambda words: words[0])
def test_on_a_real_database_nobody_at_all_is_refused_with_what_to_do(team_crm, words):
    refused = team_crm(*words)
    assert refused.exit_code == 1
    assert "CRM_API_KEY" in refused.output


def test_on_a_real_database_serve_wants_a_key(elsewhere, monkeypatch, capsys):
    from crm_mcp import serving

    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    for words in (["--user", "mia@demo.example"], []):
        with pytest.raises(SystemExit):
            serving.main(words)
        assert "CRM_API_KEY" in capsys.readouterr().err


def test_on_a_real_database_a_key_lists_drafts_and_exports(team_crm, monkeypatch, tmp_path):
    made = team_crm("keys", "create", "--org", "demo", "--user", "mia@demo.example", "k")
    monkeypatch.setenv("CRM_API_KEY", made.stdout.strip())
    assert team_crm("drafts", "--json").exit_code == 0
    assert team_crm("export", "customers", tmp_path / "c.csv").exit_code == 0
    assert "leave --user" in team_crm("drafts", "--user", "sam@demo.example").output


def test_an_agents_key_brings_no_records_in(team_crm, monkeypatch, tmp_path):
    made = team_crm("keys", "create", "--org", "demo", "--user", "mia@demo.example", "--agent", "customer", "k")
    monkeypatch.setenv("CRM_API_KEY", made.stdout.strip())
    file = tmp_path / "customers.csv"
    file.write_text("id,name\n1,New\n")
    refused = team_crm("import", "customers", file)
    assert refused.exit_code == 1
    assert "for an agent" in refused.output
