"""What is one behind several spellings: mailboxes, numbers, names, companies, addresses."""

import pytest

from crm_mcp.matching.companies import company_name
from crm_mcp.matching.names import person_name
from crm_mcp.matching.places import country_code, place
from crm_mcp.matching.reach import domain, email, phone
from crm_mcp.matching.text import fold, heard


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane.Doe@Acme.com", "jane.doe@acme.com"),
        ("jane.doe+crm@acme.com", "jane.doe@acme.com"),
        ("j.a.n.e.doe@gmail.com", "janedoe@googlemail.com"),
        ("jane@me.com", "jane@icloud.com"),
        ("jane-doe@proton.me", "janedoe@protonmail.com"),
        (" ｊane@acme.com ", "jane@acme.com"),
    ],
)
def test_two_addresses_are_one_mailbox(one: str, other: str) -> None:
    assert email(one) == email(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [("jane.doe@acme.com", "janedoe@acme.com"), ("jane@hotmail.com", "jane@outlook.com"), ("+a@b.de", "+c@b.de")],
)
def test_two_addresses_are_two_mailboxes(one: str, other: str) -> None:
    assert email(one) != email(other)


@pytest.mark.parametrize("text", ["", "@", "jane", "@acme.com", "jane@", "jane@localhost", "\u0000"])
def test_what_is_no_address_is_nothing(text: str) -> None:
    assert email(text) is None


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("030 / 901820", "DE", "+4930901820"),
        ("+49 (0)30 901820", "US", "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("(617) 555-0123", "US", "+16175550123"),
        ("06 6982", "IT", "+39066982"),
        ("020 7946 0018", "GB", "+442079460018"),
    ],
)
def test_a_number_is_read_as_it_is_dialled_there(text: str, region: str, number: str) -> None:
    found = phone(text, region)
    assert found is not None
    assert found.number == number


def test_an_extension_stands_apart_from_its_number() -> None:
    found = phone("+1 617 555 0123 ext. 45", "")
    assert found is not None
    assert (found.number, found.extension) == ("+16175550123", "45")


def test_a_number_without_a_country_keeps_its_digits_and_a_word_is_none() -> None:
    unread = phone("030 901820", "")
    assert unread is not None
    assert (unread.number, unread.country) == ("030901820", 0)
    assert phone("ask Sue", "DE") is None


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("https://www.Acme.de:443/en?x=1#y", "acme.de"),
        ("WWW2.acme.co.uk", "acme.co.uk"),
        ("acme.de", "acme.de"),
        ("http://user@shop.acme.de/", "acme.de"),
        ("https://gmail.com", ""),
        ("linkedin.com/company/acme", ""),
        ("not a site", ""),
    ],
)
def test_a_web_address_comes_down_to_its_domain(address: str, bare: str) -> None:
    assert domain(address) == bare


@pytest.mark.parametrize(
    ("written", "given", "family"),
    [
        ("Jane Doe", "jane", "doe"),
        ("Doe, Jane", "jane", "doe"),
        ("DOE, Dr. Jane", "jane", "doe"),
        ("Prof. Dr. Jürgen Weiß", "jurgen", "weiss"),
        ("Ludwig van der Berg", "ludwig", "van der berg"),
        ("Ms. Zoë O'Brien, PhD", "zoe", "obrien"),
        ("Łukasz Żółć", "lukasz", "zolc"),
        ("Søren Ångström", "soren", "angstrom"),
        ("J. Doe", "j", "doe"),
        ("Madonna", "", "madonna"),
        ("山田太郎", "", "山田太郎"),
        ("", "", ""),
        ("Mr. Smith", "", "smith"),
    ],
)
def test_a_name_has_its_parts(written: str, given: str, family: str) -> None:
    name = person_name(written)
    assert (name.given, name.family) == (given, family)


def test_senior_and_junior_are_told_apart() -> None:
    assert person_name("John Doe Sr.").generation == 1
    assert person_name("John Doe Jr").generation == 2
    assert person_name("Sr. Juan Doe").generation == 0
    assert person_name(given="John", family="Doe III").generation == 3


@pytest.mark.parametrize(
    ("written", "core", "form"),
    [
        ("Möwe Logistik GmbH & Co. KG", "mowe logistics", "gmbh co kg"),
        ("The Acme Company, Inc.", "acme", "inc"),
        ("Étoile S.à r.l.", "etoile", "sarl"),
        ("Etoile S.A.R.L.", "etoile", "sarl"),
        ("ACME PTY. LTD.", "acme", "pty"),
        ("Acme Pty Limited", "acme", "pty"),
        ("Kestrel Aktiebolag", "kestrel", "ab"),
        ("Kestrel Oy", "kestrel", "oy"),
        ("Nakamura K.K.", "nakamura", "kk"),
        ("株式会社ナカムラ", "ナカムラ", "kk"),
        ("ナカムラ㈱", "ナカムラ", "kk"),
        ("Żubr Sp. z o.o.", "zubr", "spzoo"),
        ("Silva & Santos Ltda", "silva santos", "ltda"),
        ("Smith and Sons Limited", "smith sons", "ltd"),
        ("Acme Intl. Mfg", "acme international manufacturing", ""),
        ("Acme (formerly Zenith) AG", "acme", "ag"),
        ("PT Acme Tbk", "acme", "pt"),
        ("Company", "company", ""),
        ("AG", "ag", ""),
        ("1&1 AG", "1 1", "ag"),
        ("", "", ""),
    ],
)
def test_a_company_has_a_name_and_a_legal_form(written: str, core: str, form: str) -> None:
    name = company_name(written)
    assert (" ".join(name.core), name.form) == (core, form)


@pytest.mark.parametrize(
    ("street", "spelt", "house"),
    [
        ("12 Main St.", "main street", "12"),
        ("Hauptstr. 12a", "haupt street", "12a"),
        ("Hauptstraße 12 a", "haupt street", "12a"),
        ("Station Road 7", "station road", "7"),
        ("Broadway", "broadway", ""),
    ],
)
def test_a_street_is_spelt_out_and_its_number_stands_apart(street: str, spelt: str, house: str) -> None:
    found = place(street)
    assert (found.street, found.house) == (spelt, house)


@pytest.mark.parametrize(
    ("written", "code"),
    [("Deutschland", "DE"), ("de", "DE"), ("UK", "GB"), ("U.S.A.", "US"), ("Genovia", ""), ("", "")],
)
def test_a_country_is_known_by_its_names(written: str, code: str) -> None:
    assert country_code(written) == code


def test_folding_takes_off_case_marks_and_width() -> None:
    assert fold("ＭÜLLER Straße Łódź Ærø") == "muller strasse lodz aero"


@pytest.mark.parametrize(("one", "other"), [("meyer", "maier"), ("schmidt", "schmitt"), ("philips", "filips")])
def test_names_that_sound_alike_have_one_skeleton(one: str, other: str) -> None:
    assert heard(one) == heard(other)
