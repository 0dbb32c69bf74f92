"""Generated persons of a CRM, labelled, as many as asked for: names as unequal as in life, households, copies."""

import random
from dataclasses import replace
from itertools import accumulate

from crm_mcp.matching.records import Record

GIVEN = [
    "James",
    "Mary",
    "John",
    "Anna",
    "Robert",
    "Maria",
    "Michael",
    "Linda",
    "David",
    "Elena",
    "William",
    "Sofia",
    "Thomas",
    "Laura",
    "Peter",
    "Julia",
    "Daniel",
    "Sarah",
    "Paul",
    "Emma",
    "Mark",
    "Lisa",
    "Andrew",
    "Claire",
    "Simon",
    "Nora",
    "Stefan",
    "Ingrid",
    "Lukas",
    "Amélie",
    "José",
    "Zoë",
    "Björn",
    "Agnieszka",
    "Yuki",
    "Priya",
    "Mohamed",
    "Fatima",
    "Chen",
    "Wei",
    "Olga",
    "Ivan",
    "Babatunde",
    "Chinua",
    "Mateo",
    "Lucía",
    "Henrik",
    "Saoirse",
    "Niamh",
    "Jürgen",
]
_BEGIN = [
    "ba",
    "be",
    "bo",
    "bra",
    "da",
    "do",
    "fa",
    "ga",
    "gre",
    "ha",
    "ho",
    "ja",
    "ka",
    "ko",
    "kra",
    "la",
    "le",
    "lo",
    "ma",
    "mo",
    "na",
    "no",
    "pa",
    "pe",
    "ra",
    "ro",
    "sa",
    "schu",
    "sto",
    "ta",
    "va",
    "wa",
    "wi",
    "zi",
]
_MIDDLE = [
    "ber",
    "der",
    "din",
    "gel",
    "kow",
    "lan",
    "lin",
    "man",
    "mer",
    "nan",
    "ner",
    "ra",
    "ri",
    "ros",
    "sen",
    "ska",
    "son",
    "ster",
    "ten",
    "ti",
    "ton",
    "vic",
    "wal",
]
_END = [
    "a",
    "an",
    "berg",
    "dahl",
    "e",
    "er",
    "es",
    "feld",
    "i",
    "ic",
    "ins",
    "ka",
    "ke",
    "ley",
    "man",
    "mann",
    "ner",
    "o",
    "ova",
    "s",
    "sen",
    "ski",
    "son",
    "stein",
    "ton",
    "wood",
    "yan",
]
_STREETS = [
    "Oak",
    "Main",
    "Station",
    "Church",
    "Mill",
    "Park",
    "High",
    "Lake",
    "Hill",
    "River",
    "Garden",
    "School",
    "Maple",
    "Cedar",
    "Bridge",
    "Market",
]
_HOSTS = ["gmail.com", "gmail.com", "gmail.com", "outlook.com", "yahoo.com", "web.de", "icloud.com"]


def people(many: int, seed: int = 1) -> list[Record]:
    """Return `many` persons, a fifth of them copies; the label is the number before the dot in an id.

    Family names follow Zipf's law (the commonest stands 1 in 100); one in ten has a relative at the same address, with
    the same phone or mailbox at times; copies have typing errors, a new mailbox, a new address, a married name,
    initials, the order turned round, and fields left out. Some are left with too little to be found.
    """
    chance = random.Random(seed)
    families = sorted({chance.choice(_BEGIN) + chance.choice(_MIDDLE) + chance.choice(_END) for _ in range(40000)})
    chance.shuffle(families)
    slope = list(accumulate(1 / (rank + 12) for rank in range(len(families))))
    found: list[Record] = []
    number = 0
    while len(found) < many:
        first = _person(chance, f"{number}.0", chance.choices(families, cum_weights=slope)[0])
        found.append(_seen(chance, first))
        dice = chance.random()
        if dice < 0.20:
            for copy in range(chance.choice([1, 1, 1, 2])):
                married = chance.choices(families, cum_weights=slope)[0]
                found.append(_seen(chance, _copied(chance, first, f"{number}.{copy + 1}", married)))
        elif dice < 0.30:
            number += 1
            found.append(_seen(chance, _relative(chance, first, f"{number}.0")))
        number += 1
    chance.shuffle(found)
    return found[:many]


def _person(chance: random.Random, number: str, family: str) -> Record:
    given = chance.choice(GIVEN)
    local = chance.choice([f"{given}.{family}", f"{given[0]}{family}", family]).lower() + number.partition(".")[0]
    city = chance.randint(1, 900)
    return Record(
        number,
        "individual",
        given=given,
        family=family.title(),
        emails=(f"{local}@{chance.choice([*_HOSTS, f'{family}-{chance.randint(1, 999)}.com'])}",),
        phones=(f"+49{chance.randint(151, 179)}{chance.randint(1000000, 9999999)}",),
        street=f"{chance.choice(_STREETS)}{chance.randint(1, 40)} Street {chance.randint(1, 150)}",
        city=f"{_BEGIN[city % len(_BEGIN)]}{_END[city % len(_END)]}stadt{city % 9}".title(),
        code=f"{10000 + city * 97 + chance.randint(0, 4)}",
        country="DE",
        born=f"{chance.randint(1940, 2004)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
    )


def _seen(chance: random.Random, person: Record) -> Record:
    """Return a person as a CRM has them: a mailbox mostly, the rest at times."""
    address = chance.random() < 0.6
    return _with(
        person,
        emails=person.emails if chance.random() < 0.85 else (),
        phones=person.phones if chance.random() < 0.65 else (),
        street=person.street if address else "",
        city=person.city if address else "",
        code=person.code if address else "",
        born=person.born if chance.random() < 0.4 else None,
    )


def _copied(chance: random.Random, person: Record, number: str, married: str) -> Record:
    given, family, changes = person.given, person.family, {}
    for _ in range(chance.choice([1, 1, 2, 2, 3])):
        dice = chance.random()
        if dice < 0.2:
            family = _slip(chance, family)
        elif dice < 0.3:
            given = _slip(chance, given)
        elif dice < 0.36:
            given = given[0] + "."
        elif dice < 0.42:
            given, family = family, given
        elif dice < 0.47:
            family = married.title()
        elif dice < 0.62:
            changes["emails"] = (f"{family.lower()}{chance.randint(1, 9999)}@{chance.choice(_HOSTS)}",)
        elif dice < 0.72:
            local, _, host = person.emails[0].partition("@")
            changes["emails"] = (f"{local}+crm@{host}".title(),)
        elif dice < 0.82:
            changes["phones"] = ("0" + person.phones[0][3:6] + " / " + person.phones[0][6:],)
        elif dice < 0.92:
            other = _person(chance, "0", "x")
            changes |= {"street": other.street, "city": other.city, "code": other.code}
        else:
            changes["street"] = person.street.replace("Street", "St.")
    return _with(person, id=number, given=given, family=family, **changes)


def _relative(chance: random.Random, person: Record, number: str) -> Record:
    other = _person(chance, number, person.family.lower())
    while other.given == person.given:
        other = _person(chance, number, person.family.lower())
    shared = {"street": person.street, "city": person.city, "code": person.code}
    if chance.random() < 0.3:
        shared["phones"] = person.phones
    if chance.random() < 0.1:
        shared["emails"] = person.emails
    return _with(other, **shared)


def _slip(chance: random.Random, word: str) -> str:
    at = chance.randrange(1, len(word)) if len(word) > 1 else 0
    return chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + chance.choice("aeinrst") + word[at + 1 :],
            word[:at] + word[at - 1] + word[at:],
        ]
    )


def _with(person: Record, **changes: object) -> Record:
    return replace(person, **changes)  # type: ignore[arg-type]
