"""What the doctor says of a page that people on other machines reach."""

from datetime import timedelta

import pytest

from certificates import Pair
from crm_mcp.approvals.whereabouts import Whereabouts
from crm_mcp.cli.doctor import team
from crm_mcp.config import Settings

URL = "https://crm.firm.example"


@pytest.fixture
def known(tmp_path, monkeypatch):
    """Settings of a page on a real database, and what differs from them."""

    def make(**named):
        monkeypatch.setenv("CRM_HOME", str(tmp_path))
        for name, value in {"database_url": "postgresql://there/crm", "approvals_url": URL, **named}.items():
            if value is None:
                monkeypatch.delenv(f"CRM_{name.upper()}", raising=False)
            else:
                monkeypatch.setenv(f"CRM_{name.upper()}", str(value))
        return Settings()

    return make


@pytest.fixture
def paired(tmp_path, known):
    """Settings with a certificate."""

    def make(*names, ends=timedelta(days=90), **named):
        pair = Pair(tmp_path, *(names or ("crm.firm.example",)), ends=ends)
        pair.key.chmod(0o600)
        return known(tls_cert=pair.cert, tls_key=pair.key, **named)

    return make


def test_a_sound_page_has_no_problem(paired):
    settings = paired(smtp_url="smtp://mail.firm.example")
    said = [check(settings) for check in (team.address, team.certificate, team.mail)]
    assert [one.state for one in said] == ["ok", "ok", "ok"], said


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        ("http://crm.firm.example", "problem", "in the clear"),
        ("http://192.0.2.7:8787", "problem", "in the clear"),
        ("crm.firm.example", "problem", "no address of a page"),
        ("https://crm.firm.example/approvals", "problem", "more than a name"),
        ("http://localhost:8787", "attention", "this machine alone"),
        (None, "attention", "this machine alone"),
    ],
)
def test_an_address_that_is_not_safe_is_found(known, url, state, said):
    found = team.address(known(approvals_url=url))
    assert (found.state, said in found.said) == (state, True), found
    assert found.fix


def test_on_ones_own_machine_nothing_of_it_is_wrong(known):
    settings = known(database_url=None, approvals_url=None)
    assert [check(settings).state for check in (team.address, team.certificate, team.mail)] == ["ok"] * 3


@pytest.mark.parametrize(
    ("ends", "state", "said"),
    [(timedelta(days=-1), "problem", "ended on"), (timedelta(days=10), "attention", "ends on"),
     (timedelta(days=90), "ok", "until")],
)  # fmt: skip
def test_a_certificate_that_ends_is_found_in_time(paired, ends, state, said):
    found = team.certificate(paired(ends=ends))
    assert (found.state, said in found.said) == (state, True), found


@pytest.mark.parametrize(
    ("names", "holds"),
    [
        (("crm.firm.example",), True),
        (("other.example", "crm.firm.example"), True),
        (("*.firm.example",), True),
        (("firm.example",), False),
        (("*.example",), False),
        (("*.crm.firm.example",), False),
    ],
)
def test_a_certificate_for_another_name_is_found(paired, names, holds):
    found = team.certificate(paired(*names))
    assert found.state == ("ok" if holds else "problem"), found
    assert holds or "crm.firm.example" in found.said


def test_without_a_configured_address_the_certificate_is_for_where_the_page_was(paired, tmp_path):
    Whereabouts("https://page.firm.example:8443", "x", "https://127.0.0.1:8443").write(tmp_path)
    assert team.certificate(paired("page.firm.example", approvals_url=None)).state == "ok"


def test_files_that_cannot_be_used_are_found(paired, known, tmp_path):
    settings = paired()
    for named, said in (
        ({"tls_key": tmp_path / "absent"}, "cannot be read"),
        ({"tls_key": settings.tls_cert}, "no TLS certificate"),
        ({"tls_key": None}, "not set"),
    ):
        found = team.certificate(known(tls_cert=settings.tls_cert, **named))
        assert (found.state, said in found.said) == ("problem", True), found


def test_a_key_that_others_read_is_found(paired):
    settings = paired()
    settings.tls_key.chmod(0o640)
    assert "others may read" in team.certificate(settings).said


def test_a_team_without_a_mail_server_is_told_what_that_means(known):
    found = team.mail(known())
    assert (found.state, "users link" in found.fix) == ("attention", True)


def test_a_wrong_mail_server_is_a_problem_and_not_repeated(examine, monkeypatch):
    monkeypatch.setenv("CRM_SMTP_URL", "imap://me:secret@mail.example")
    found, code, said = examine()
    assert (found["mail"]["state"], code) == ("problem", 1)
    assert "secret" not in said
    assert found["worker"]["state"] != "skipped", "the rest is looked at all the same"
