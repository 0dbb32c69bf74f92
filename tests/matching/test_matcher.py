"""What holds for whatever records: symmetry, order, strangers, and what a person may rely on in an answer."""

from dataclasses import replace

import pytest
from companies import DEVELOPMENT, companies
from hypothesis import given, settings
from hypothesis import strategies as st
from people import people

from crm_mcp.matching.blocking import LARGEST, NEXT
from crm_mcp.matching.matcher import LIKELY, SURE, Cancelled, Found, Matcher
from crm_mcp.matching.records import Record

JANE = Record("1", "individual", "Jane Oyelaran", emails=("jane@oyelaran.com",), phones=("+49 30 901820",))
ACME = Record("1", "organization", "Acme Tools GmbH", website="acme-tools.de", city="Berlin", country="DE")
CALM = settings(max_examples=40, deadline=None, derandomize=True)

texts = st.text(max_size=20)
few = st.sampled_from(
    ["Jane Doe", "Doe, Jane", "John Doe", "J. Doe", "Acme GmbH", "Acme Holding AG", "株式会社", "Ø", ""]
)
records = st.builds(
    Record,
    id=st.just(""),
    kind=st.sampled_from(["organization", "individual"]),
    name=few | texts,
    emails=st.lists(st.sampled_from(["jane@doe.com", "j.doe@gmail.com", "info@acme.de"]) | texts, max_size=2).map(
        tuple
    ),
    phones=st.lists(st.sampled_from(["+49 30 901820", "030/901820", "+1 617 555 0123"]) | texts, max_size=2).map(
        tuple
    ),
    website=st.sampled_from(["acme.de", "https://acme.com/", ""]) | texts,
    street=st.sampled_from(["1 Main St", "Hauptstr. 5", ""]) | texts,
    city=st.sampled_from(["Berlin", "Paris", ""]) | texts,
    code=st.sampled_from(["10115", "75001", ""]) | texts,
    country=st.sampled_from(["DE", "FR", ""]) | texts,
    born=st.sampled_from(["1980-02-01", "1980-01-02", "19800201", None]) | texts,
    employer=st.sampled_from(["Acme GmbH", ""]) | texts,
)


def numbered(found: list[Record], kind: str) -> list[Record]:
    return [replace(record, id=f"{at:03}", kind=kind) for at, record in enumerate(found)]  # type: ignore[arg-type]


def scores(found: Found) -> dict[frozenset[str], float]:
    return {frozenset((pair.left, pair.right)): pair.score for pair in found.pairs}


@given(st.lists(records, max_size=8), st.sampled_from(["organization", "individual"]), st.randoms())
@CALM
def test_the_order_of_the_records_changes_nothing(some: list[Record], kind: str, chance: object) -> None:
    some = numbered(some, kind)
    shuffled = some[:]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Matcher(some, "DE").duplicates(0.01) == Matcher(shuffled, "DE").duplicates(0.01)


@given(records, records)
@CALM
def test_a_pair_weighs_the_same_from_either_side(one: Record, other: Record) -> None:
    pair = numbered([one, replace(other, kind=one.kind)], one.kind)
    turned = [replace(pair[0], id="001"), replace(pair[1], id="000")]
    assert scores(Matcher(pair, "DE").duplicates(0.001)) == scores(Matcher(turned, "DE").duplicates(0.001))


@given(records, st.sampled_from([JANE, ACME]))
@CALM
def test_a_record_and_its_copy_are_surely_one(noise: Record, known: Record) -> None:
    full = replace(
        noise, kind=known.kind, name=known.name, emails=("jane@oyelaran.com",), phones=("+49 30 901820",), id="1"
    )
    found = Matcher([full, replace(full, id="2")], "DE").duplicates()
    assert [pair.sure for pair in found.pairs] == [True]
    assert found.groups == (("1", "2"),)


@given(st.lists(records, min_size=1, max_size=6), st.sampled_from(["organization", "individual"]))
@CALM
def test_a_stranger_changes_no_pair(some: list[Record], kind: str) -> None:
    """Frequencies and the odds beforehand move by a thousandth of a bit or so, which no reader sees."""
    some = numbered(some, kind)
    stranger = Record(
        "999", kind, "Qzxv Wfkjq", emails=("qz@wfkjq.example.org",), phones=("+64 9 355 2000",), city="Xqo"
    )  # type: ignore[arg-type]
    before, after = Matcher(some, "DE").duplicates(0.05), Matcher([*some, stranger], "DE").duplicates(0.05)
    now = scores(after)
    for pair, score in scores(before).items():
        assert now.get(pair, 0.05) == pytest.approx(score, abs=0.01)


@given(st.lists(records, max_size=8), st.sampled_from(["organization", "individual"]))
@CALM
def test_what_is_said_of_a_pair_adds_up_to_its_score(some: list[Record], kind: str) -> None:
    matcher = Matcher(numbered(some, kind), "DE")
    for pair in matcher.duplicates(0.01).pairs:
        bits = matcher.prior + sum(finding.weight for finding in pair.findings)
        assert 1 / (1 + 2**-bits) == pytest.approx(pair.score, abs=0.08)
        assert 0 <= pair.score <= 1


@given(st.lists(records, min_size=2, max_size=6), st.sampled_from(["organization", "individual"]))
@CALM
def test_a_new_record_meets_those_it_would_pair_with(some: list[Record], kind: str) -> None:
    some = numbered(some, kind)
    found = {pair for pair in scores(Matcher(some, "DE").duplicates(0.9)) if "000" in pair}
    known = Matcher(some[1:], "DE").candidates(replace(some[0], id="new"), 0.5)
    assert {(min(pair - {"000"})) for pair in found} <= {pair.right for pair in known}


def test_a_switchboard_and_a_common_name_count_for_less_than_rare_ones() -> None:
    house = [
        Record(f"{at:03}", "individual", f"Ann {'Smith' if at < 90 else f'Rare{at}'}", phones=("+49 30 901820",))
        for at in range(100)
    ]
    some = [*house, replace(house[99], id="r", phones=("+49 30 555666",))]
    some.append(replace(house[99], id="t", phones=("+49 30 555666",)))
    found = {(pair.left, pair.right): pair.findings for pair in Matcher(some, "DE").duplicates(0.0001).pairs}

    def weight(pair: tuple[str, str], field: str) -> float:
        return next(finding.weight for finding in found[pair] if finding.field == field)

    assert weight(("000", "001"), "family") < weight(("r", "t"), "family") - 2
    assert weight(("000", "001"), "phone") < weight(("r", "t"), "phone") - 2


def test_people_of_one_household_are_two() -> None:
    john = replace(JANE, id="2", name="John Oyelaran", street="1 Main St", city="Berlin", code="10115")
    jane = replace(JANE, street="1 Main St", city="Berlin", code="10115")
    assert Matcher([jane, john], "DE").duplicates().pairs == ()


def test_a_father_and_his_son_of_one_name_are_two() -> None:
    senior = replace(JANE, id="2", name="John Oyelaran Sr.", emails=())
    junior = replace(JANE, id="3", name="John Oyelaran Jr.", emails=())
    assert Matcher([senior, junior], "DE").duplicates().pairs == ()


@pytest.mark.parametrize(
    "other",
    [
        replace(ACME, id="2", name="Acme Tools Holding GmbH"),
        replace(ACME, id="2", name="Acme Tools Paris SARL", city="Paris", country="FR"),
        replace(ACME, id="2", name="Acme Tools 17 GmbH", city="Hamburg"),
        replace(ACME, id="2", name="Acme Tools Hamburg GmbH", city="Hamburg"),
    ],
    ids=["holding", "abroad", "numbered", "branch"],
)
def test_companies_of_one_house_are_two(other: Record) -> None:
    assert Matcher([ACME, other], "DE").duplicates().pairs == ()


def test_a_tax_number_speaks_for_one_company_and_two_numbers_for_two() -> None:
    def score(left: str, right: str) -> float:
        pair = [replace(ACME, website="", tax_number=left), replace(ACME, id="2", website="", tax_number=right)]
        return Matcher(pair, "DE").score("1", "2")

    assert score("DE811569869", "de 999 999 999") < score("", "") < score("DE811569869", "de 811 569 869")


@pytest.mark.parametrize("name", ["ACME Tools", "Acme-Tools Gesellschaft mit beschränkter Haftung", "The Acme Tools Co.", "Acme Tolls GmbH"])  # fmt: skip
def test_a_company_typed_otherwise_is_one(name: str) -> None:
    found = Matcher([ACME, replace(ACME, id="2", name=name)], "DE").duplicates()
    assert [pair.score > LIKELY for pair in found.pairs] == [True]


def test_a_pair_says_field_by_field_why() -> None:
    other = replace(JANE, id="2", name="Oyelaran, Jayne", emails=("Jane+news@Oyelaran.com",), phones=("030 901820",))
    (pair,) = Matcher([JANE, other], "DE").duplicates().pairs
    said = {finding.field: finding for finding in pair.findings}
    assert (said["email"].left, said["email"].right) == ("jane@oyelaran.com", "Jane+news@Oyelaran.com")
    assert said["email"].what == "same after normalising"
    assert (said["phone"].right, said["phone"].what) == ("030 901820", "same after normalising")
    assert said["family"].what == "equal"
    assert said["given"].what.startswith("similar 0.9")
    assert pair.score > SURE


def test_what_is_missing_says_nothing() -> None:
    bare = Record("2", "individual", emails=("jane@oyelaran.com",))
    (pair,) = Matcher([JANE, bare], "DE").duplicates().pairs
    assert [finding.field for finding in pair.findings] == ["email"]


def test_a_chain_is_not_one_group() -> None:
    ends = [
        Record("1", "individual", "Ann Zimmerfeld", emails=("a@zim.com",), born="1980-02-03"),
        Record("2", "individual", "", emails=("a@zim.com", "b@zim.com")),
        Record("3", "individual", "Bob Quillworth", emails=("b@zim.com",), born="1955-12-24"),
    ]
    found = Matcher(ends).duplicates(0.5)
    assert {(pair.left, pair.right) for pair in found.pairs} == {("1", "2"), ("2", "3")}
    assert found.groups == (("1", "2"),)


def test_a_block_too_large_is_cut_and_what_it_left_out_is_counted() -> None:
    many = 200
    crowd = [Record(f"{at:04}", "individual", emails=("team@acme.de",), given=f"N{at}") for at in range(many)]
    found = Matcher(crowd).duplicates()
    cut = found.cuts[0]
    met = many * NEXT - NEXT * (NEXT + 1) // 2
    assert many > LARGEST
    assert (cut.key, cut.records, cut.left_out) == ("mailbox team@acme.de", many, many * (many - 1) // 2 - met)
    assert found.compared + found.left_out >= many * (many - 1) // 2


def test_progress_ends_at_the_total_and_a_search_can_be_called_off() -> None:
    some, told = people(1200), list[tuple[int, int]]()
    Matcher(some).duplicates(progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 1200)
    assert told[-1] == (1200, 1200)
    assert told == sorted(told)
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        Matcher(some).duplicates(cancelled=lambda: next(asked))
    with pytest.raises(Cancelled):
        Matcher(some, cancelled=lambda: True)


def test_only_records_of_one_kind_and_each_once_are_compared() -> None:
    with pytest.raises(ValueError, match="one kind"):
        Matcher([JANE, replace(ACME, id="2")])
    with pytest.raises(ValueError, match="one id"):
        Matcher([JANE, JANE])
    assert Matcher([]).duplicates().pairs == ()


def test_blocking_loses_next_to_none_of_the_pairs_that_would_be_found() -> None:
    some, true = companies(1, DEVELOPMENT, 150)
    matcher = Matcher(some)
    found = {frozenset((pair.left, pair.right)) for pair in matcher.duplicates().pairs}
    lost = [pair for pair in true if frozenset(pair) not in found and matcher.score(*pair) >= LIKELY]
    assert len(lost) <= len(true) // 50
