"""A population of companies and people of many languages, and how somebody would ask for one of them, by a seed.

`queries` says of each category what was done to what is stored. A query is kept only where few would do: what a person
could not tell apart, search need not.
"""

import csv
import io
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


GIVEN = _words(
    "John Mary James Linda Oliver Amelia Harry Sophie Jürgen Käthe Björn Jörg Anneliese Günther François Hélène Zoé Benoît Chloé "
    "José María Núria Íñigo Begoña Łukasz Małgorzata Zdzisław Agnieszka Tomáš Jiří Šárka Ondřej Søren Åse Østen Maja Gülşen Ömer "
    "İbrahim Çağla Nguyễn Thảo Dũng Hương Giuseppe Chiara Niccolò Ilaria João Conceição Rui Inês Katarzyna Wojciech Sinéad Pádraig "
    "Ștefan Ioana Mihály Zsófia Erzsébet Andrius Žydrūnas Kristīne Aino Väinö Дмитрий Ольга Γιώργος Ελένη 太郎 花子"
)
FAMILY = _words(
    "Smith Johnson Wetherby Thornton Ashdown Featherstone Müller Schröder Großmann Weiß Kühn Böhm Vögele Lefèvre Beauséjour Giraud "
    "Chevreuil Fernández Ibáñez Zúñiga Quiñones Kowalski Wiśniewski Dąbrowska Szczepański Novák Dvořák Růžička Jørgensen Ångström "
    "Bjørnstad Håkansson Yıldırım Şahin Öztürk Trần Lê Phạm Ferrari Colombo Esposito Gonçalves Magalhães Araújo O'Brien MacGowan "
    "Popescu Țepeș Nagy Szabó Kovács Kazlauskas Bērziņš Virtanen Mäkelä Петрова Иванов Παπαδόπουλος 山田 佐藤 Abernathy Castellanos "
    "Drummond Eisenhauer Fitzwilliam Grzelak Hofstetter Jankauskas Krzyżanowski Lindqvist Montgomery Nakamura Oyelaran Przybylski "
    "Quesada Rutherford Steinhauer Tchaikovsky Uzunoğlu Vanderbilt Wojtkowiak Xanthopoulos Ybarra Zimmermann"
)
STEMS = _words(
    "Aurora Borealis Cascade Dunmore Ellipse Fjordland Granit Helvetia Indigo Jupiter Kestrel Lumière Meridian Nordwind Ostsee "
    "Pinnacle Quantum Rosengarten Sonnenschein Tramontana Umbra Vesuvio Waldblick Xenon Yggdrasil Zenith Ätherwerk Öresund Übersee "
    "Blåbär Čedok Dębowa Étoile Fünfkirchen Gökdeniz Habsburg Ísland Jõgeva Kâğıthane Łódka Mañana Niño Órbita Pêcheur Queensway "
    "Río Šumava Tórshavn Üsküdar Västerås Brightwater Coppergate Driftwood Evergreen Foxglove Greystone Hawthorn Ironbridge"
)
TRADES = _words(
    "Möbel Furniture Logistik Logistics Meubles Muebles Mobili Software Design Interiors Bäckerei Brewery Boulangerie Panadería "
    "Transport Maschinenbau Robotics Textil Optik Pharma Energie Consulting Werkzeuge Papeterie Glasbläserei Ceramics Cykler"
)
SUFFIXES = (
    "GmbH",
    "AG",
    "Ltd",
    "Limited",
    "Inc.",
    "Inc",
    "LLC",
    "S.A.",
    "SARL",
    "S.L.",
    "AB",
    "Oy",
    "ApS",
    "B.V.",
    "KG",
    "PLC",
)
CITIES = (
    ("Berlin", "49", "30"), ("München", "49", "89"), ("London", "44", "20"), ("Manchester", "44", "161"), ("Paris", "33", "1"),
    ("Madrid", "34", "91"), ("Kraków", "48", "12"), ("Praha", "420", "2"), ("København", "45", "33"), ("Wien", "43", "1"),
)  # fmt: skip
NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl", "p": "ol", "a": "qsz",
    "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb", "h": "gyjn", "j": "hukm", "k": "jil", "l": "kop", "z": "asx", "x": "zsdc",
    "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
}  # fmt: skip
ACCENTED = {"a": "á", "e": "é", "i": "í", "o": "ö", "u": "ü", "n": "ñ", "c": "ç", "s": "š", "z": "ž"}
FEW = 3
"""How many records at most may hold what a query of a part of a name says."""


class Party(NamedTuple):
    """A record to be found: its table, its name, and the other ways in which it is known."""

    table: str
    name: str
    email: str
    phone: str


class Query(NamedTuple):
    category: str
    text: str
    meant: Party


def population(seed: int = 7) -> list[Party]:
    """Return 340 people and 260 companies, no two of one name."""
    draw = random.Random(seed)
    found: dict[str, Party] = {}
    while len(found) < 340:
        name = f"{draw.choice(GIVEN)} {draw.choice(FAMILY)}"
        table = "individuals" if draw.random() < 0.6 else "customers"
        local = ".".join(_ascii(part).lower() or f"x{draw.randrange(100, 999)}" for part in name.split())
        mail = f"{local}@{draw.choice(('post', 'mailbox', 'inbox'))}{len(found) % 17}.example"
        found.setdefault(name, Party(table, name, mail, _phone(draw)))
    while len(found) < 600:
        stem = f"{draw.choice(STEMS)} {draw.choice(TRADES)}"
        if any(known.startswith(stem) for known in found):
            continue
        name = f"{stem} {draw.choice(SUFFIXES)}"
        host = "-".join(_ascii(part).lower() for part in stem.split())
        table = "organizations" if draw.random() < 0.4 else "customers"
        found[name] = Party(table, name, f"{draw.choice(('info', 'office', 'hello'))}@{host}.example", _phone(draw))
    return list(found.values())


def files(parties: Sequence[Party]) -> Iterator[tuple[str, str]]:
    """Yield the population as files to import: a kind and its CSV."""
    for table in ("customers", "organizations", "individuals"):
        out = io.StringIO()
        lines = csv.writer(out)
        lines.writerow(["id", "name", "email", "phone"])
        for at, party in enumerate(parties):
            if party.table == table:
                lines.writerow([f"p{at}", party.name, party.email, party.phone])
        yield table, out.getvalue()


def queries(parties: Sequence[Party], seed: int, each: int = 40) -> list[Query]:
    """Return `each` queries of every category."""
    draw = random.Random(seed)
    keys = [_key(party.name) for party in parties]
    found: list[Query] = []
    for category, (table_of, make) in CATEGORIES.items():
        able = [party for party in parties if table_of(party)]
        kept = 0
        for _ in range(each * 20):
            party = draw.choice(able)
            text = make(draw, party)
            if (
                text is None
                or text == party.name
                or (category in PARTIAL and sum(_holds(text, key) for key in keys) > FEW)
            ):
                continue
            found.append(Query(category, text, party))
            kept += 1
            if kept == each:
                break
    return found


def _ascii(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if c.isascii() and c.isalnum())


def _key(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def _holds(text: str, key: str) -> bool:
    """Say whether every word of a text begins a word of a name: a letter and a dot any that begins with it."""
    words = key.replace(".", " ").split()
    return all(any(word.startswith(part) for word in words) for part in _key(text).replace(".", " ").split())


def _phone(draw: random.Random) -> str:
    _, country, area = draw.choice(CITIES)
    return f"+{country} {area} {draw.randrange(2_000_000, 9_999_999)}"


def _is_company(party: Party) -> bool:
    return any(party.name.endswith(" " + suffix) for suffix in SUFFIXES)


def _is_person(party: Party) -> bool:
    return not _is_company(party)


def _bare(party: Party) -> str:
    for suffix in SUFFIXES:
        if party.name.endswith(" " + suffix):
            return party.name.removesuffix(" " + suffix)
    return party.name


def _in_a_word(draw: random.Random, party: Party, slip: Callable[[random.Random, str], str | None]) -> str | None:
    words = _bare(party).split()
    able = [at for at, word in enumerate(words) if len(word) >= 4]
    if not able:
        return None
    at = draw.choice(able)
    slipped = slip(draw, words[at])
    return None if slipped is None else " ".join([*words[:at], slipped, *words[at + 1 :]])


def _neighbour(draw: random.Random, word: str) -> str | None:
    able = [at for at, c in enumerate(word.lower()) if c in NEIGHBOURS]
    if not able:
        return None
    at = draw.choice(able)
    return word[:at] + draw.choice(NEIGHBOURS[word[at].lower()]) + word[at + 1 :]


def _transposed(draw: random.Random, word: str) -> str | None:
    at = draw.randrange(len(word) - 1)
    return None if word[at] == word[at + 1] else word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _deleted(draw: random.Random, word: str) -> str:
    at = draw.randrange(len(word))
    return word[:at] + word[at + 1 :]


def _doubled(draw: random.Random, word: str) -> str:
    at = draw.randrange(len(word))
    return word[: at + 1] + word[at] + word[at + 1 :]


def _dropped(_: random.Random, party: Party) -> str | None:
    bare = "".join(c for c in unicodedata.normalize("NFKD", party.name) if not unicodedata.combining(c))
    return None if bare == party.name else bare


def _added(draw: random.Random, party: Party) -> str | None:
    able = [at for at, c in enumerate(party.name) if c in ACCENTED]
    if not able:
        return None
    at = draw.choice(able)
    return party.name[:at] + ACCENTED[party.name[at]] + party.name[at + 1 :]


def _other_suffix(draw: random.Random, party: Party) -> str:
    return f"{_bare(party)} {draw.choice([*SUFFIXES, ''])}".strip()


def _part(draw: random.Random, party: Party) -> str:
    words = _bare(party).split()
    word = draw.choice(words)
    return word[: draw.randrange(max(4, len(word) - 3), len(word) + 1)] if len(word) > 4 else word


def _initial(draw: random.Random, party: Party) -> str:
    given, family = party.name.split(" ", 1)
    return draw.choice((f"{given[0]}. {family}", f"{given[0]} {family}", f"{family}, {given[0]}."))


def _reversed(_: random.Random, party: Party) -> str:
    given, family = party.name.split(" ", 1)
    return f"{family}, {given}"


def _other_phone(draw: random.Random, party: Party) -> str:
    country, area, number = party.phone[1:].split(" ")
    pairs = " ".join(number[at : at + 2] for at in range(0, len(number), 2))
    return draw.choice(
        (
            f"0{area} {number}", f"00{country} {area} {number}", f"+{country} (0) {area} {pairs}", f"(0{area}) {number[:3]}-{number[3:]}",
            f"+{country}{area}{number}", f"+{country}-{area}-{number[:3]}.{number[3:]}",
        )
    )  # fmt: skip


def _mail_part(draw: random.Random, party: Party) -> str:
    local, host = party.email.split("@")
    if _is_company(party):
        return draw.choice((host, "@" + host, f"www.{host}", host.removesuffix(".example")))
    return draw.choice((local, f"{local}@", f"{local}@{host[:5]}", party.email.upper()))


def _two_slips(draw: random.Random, party: Party) -> str | None:
    words = _bare(party).split()
    if any(len(word) < 5 for word in words):
        return None
    slipped = [draw.choice((_neighbour, _transposed, _deleted))(draw, word) for word in words]
    return None if None in slipped else " ".join(word for word in slipped if word)


def _every(_: Party) -> bool:
    return True


CATEGORIES: dict[str, tuple[Callable[[Party], bool], Callable[[random.Random, Party], str | None]]] = {
    "a neighbouring key": (_every, lambda d, p: _in_a_word(d, p, _neighbour)),
    "two letters swapped": (_every, lambda d, p: _in_a_word(d, p, _transposed)),
    "a letter left out": (_every, lambda d, p: _in_a_word(d, p, _deleted)),
    "a letter doubled": (_every, lambda d, p: _in_a_word(d, p, _doubled)),
    "a slip in each word": (_every, _two_slips),
    "accents left out": (_every, _dropped),
    "an accent too many": (_every, _added),
    "another legal suffix": (_is_company, _other_suffix),
    "part of a name": (_every, _part),
    "an initial": (_is_person, _initial),
    "family name first": (_is_person, _reversed),
    "another way to write a phone number": (_every, _other_phone),
    "part of an e-mail address": (_every, _mail_part),
}
PARTIAL = ("part of a name", "an initial", "part of an e-mail address")
