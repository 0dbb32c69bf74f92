"""A labelled set of company names: made here, so that it may be published, and harder than chance would make it.

`companies(seed, words)` draws companies of 16 countries (names of six patterns, their domains, phones, mailboxes and
addresses, each missing as often as in a CRM that people type into), then
- copies a third of them once to three times with what people do to a company's name: legal form left out, spelt out
  or swapped for one of the same country, accents lost, "&" for "and", abbreviations, capitals, "The", a typing error,
  two words as one, a word left out, the city added, the old phone, another mailbox, another ending of the domain;
- sets beside a third of them one that must not be matched: the same brand in another city under that country's form,
  its holding (same address, phone and domain), the next number of a franchise (same domain and mailbox), another
  trade of the same family name in the same street, a brand one letter away.

The label is the number before the dot in an id. DEVELOPMENT and HELD_OUT share no brand, family name or street: the
matcher was developed against the first, and stated figures come from the second under seeds not used before.
"""

import random
import unicodedata
from typing import NamedTuple

from labelled import together

from crm_mcp.matching.records import Record


class Words(NamedTuple):
    brands: list[str]
    families: list[str]
    streets: list[str]
    syllables: list[str]


DEVELOPMENT = Words(
    [
        "Acme",
        "Brightwater",
        "Kestrel",
        "Northgate",
        "Harbour",
        "Silverline",
        "Meridian",
        "Bluestone",
        "Oakfield",
        "Vertex",
        "Polaris",
        "Lumina",
        "Cascade",
        "Evergreen",
        "Summit",
        "Pinnacle",
        "Atlas",
        "Beacon",
        "Horizon",
        "Sterling",
        "Nova",
        "Quantum",
        "Orion",
        "Falcon",
        "Redwood",
        "Ironbridge",
        "Castell",
        "Möwe",
        "Höchst",
        "Étoile",
        "Brøndby",
        "Åland",
        "Señorita",
        "Škoda",
        "Żubr",
    ],
    [
        "Müller",
        "Schneider",
        "Krüger",
        "Lefèvre",
        "Dubois",
        "García",
        "Núñez",
        "Rossi",
        "Bianchi",
        "Jansen",
        "Smith",
        "Taylor",
        "Brown",
        "Eriksson",
        "Bjørnstad",
        "Kowalski",
        "Novák",
        "Silva",
        "Yamamoto",
        "Patel",
        "Oyelaran",
        "Weiß",
    ],
    ["Station", "Main", "Garden", "Church", "Market", "Mill", "Park", "Linden", "Bahnhof", "Königs"],
    ["ba", "ko", "ri", "ta", "lu", "me", "no", "vi", "sa", "do", "fe", "gu", "xi", "ran", "tel", "mos"],
)
HELD_OUT = Words(
    [
        "Zenith",
        "Clearbrook",
        "Osprey",
        "Southfield",
        "Anchor",
        "Goldleaf",
        "Equator",
        "Greystone",
        "Ashford",
        "Apex",
        "Andromeda",
        "Radiant",
        "Torrent",
        "Alpine",
        "Crest",
        "Vanguard",
        "Titan",
        "Lighthouse",
        "Skyline",
        "Regent",
        "Comet",
        "Photon",
        "Lyra",
        "Merlin",
        "Cedarwood",
        "Stonegate",
        "Valcourt",
        "Kräuter",
        "Übersee",
        "Lumière",
        "Tromsø",
        "Ängelholm",
        "Compañera",
        "Čapek",
        "Źródło",
    ],
    [
        "Schäfer",
        "Hoffmann",
        "Böhm",
        "Girard",
        "Moreau",
        "Fernández",
        "Ibáñez",
        "Ferrari",
        "Ricci",
        "Visser",
        "Jones",
        "Wilson",
        "Clark",
        "Lindqvist",
        "Sørensen",
        "Wiśniewski",
        "Dvořák",
        "Pereira",
        "Nakamura",
        "Sharma",
        "Adeyemi",
        "Großmann",
    ],
    ["Bridge", "High", "Forest", "Chapel", "Harbour", "Castle", "River", "Birken", "Schul", "Jäger"],
    ["pe", "ni", "lo", "sha", "wu", "cre", "da", "zo", "hi", "jun", "bal", "ter", "qui", "mon", "ked", "ost"],
)
TRADES = [
    "Logistics",
    "Consulting",
    "Software",
    "Engineering",
    "Foods",
    "Pharma",
    "Systems",
    "Technologies",
    "Construction",
    "Manufacturing",
    "Solutions",
    "Services",
    "Energy",
    "Textiles",
    "Media",
    "Partners",
    "Industries",
    "International",
    "Trading",
    "Design",
]
PLACES = {
    "DE": (
        "+49",
        ["Berlin", "Hamburg", "München", "Köln"],
        ["GmbH", "AG", "GmbH & Co. KG", "UG (haftungsbeschränkt)"],
    ),
    "AT": ("+43", ["Wien", "Graz"], ["GmbH", "Ges.m.b.H.", "AG"]),
    "CH": ("+41", ["Zürich", "Genève"], ["AG", "GmbH", "Sàrl"]),
    "FR": ("+33", ["Paris", "Lyon", "Nîmes"], ["SARL", "SAS", "S.A."]),
    "LU": ("+352", ["Luxembourg"], ["S.à r.l.", "S.A."]),
    "GB": ("+44", ["London", "Leeds", "Bristol"], ["Ltd", "Limited", "PLC", "LLP"]),
    "IE": ("+353", ["Dublin", "Cork"], ["Ltd", "Limited"]),
    "US": ("+1", ["Boston", "Austin", "Denver"], ["Inc.", "LLC", "Corp.", "Corporation", "Co."]),
    "AU": ("+61", ["Sydney", "Perth"], ["Pty Ltd", "Pty. Limited"]),
    "ES": ("+34", ["Madrid", "Málaga"], ["S.L.", "S.A."]),
    "IT": ("+39", ["Milano", "Torino"], ["S.r.l.", "S.p.A."]),
    "NL": ("+31", ["Amsterdam", "Utrecht"], ["B.V.", "N.V."]),
    "SE": ("+46", ["Stockholm", "Malmö"], ["AB", "Aktiebolag"]),
    "FI": ("+358", ["Helsinki"], ["Oy", "Oyj"]),
    "PL": ("+48", ["Kraków", "Gdańsk"], ["Sp. z o.o.", "S.A."]),
    "JP": ("+81", ["Tokyo", "Osaka"], ["K.K.", "Co., Ltd.", "株式会社"]),
}
SPELT = {
    "GmbH": "Gesellschaft mit beschränkter Haftung", "AG": "Aktiengesellschaft", "Ltd": "Limited", "Limited": "Ltd.",
    "Inc.": "Incorporated", "Corp.": "Corporation", "Corporation": "Corp", "GmbH & Co. KG": "GmbH und Co. KG",
    "S.A.": "SA", "SARL": "S.A.R.L.", "S.à r.l.": "Sarl", "B.V.": "BV", "AB": "Aktiebolag", "Pty Ltd": "Pty. Ltd.",
    "S.r.l.": "SRL", "S.p.A.": "SpA", "K.K.": "Kabushiki Kaisha", "Sp. z o.o.": "Sp. zo.o.", "LLC": "L.L.C.",
    "Co.": "Company", "PLC": "plc", "S.L.": "SL", "Oy": "OY", "Ges.m.b.H.": "GesmbH", "Sàrl": "SARL",
}  # fmt: skip
SHORTENED = {
    "International": "Intl", "Manufacturing": "Mfg", "Technologies": "Tech", "Systems": "Sys", "Services": "Svcs",
    "Engineering": "Eng.", "Industries": "Ind.", "Solutions": "Solution", "Logistics": "Logistik",
}  # fmt: skip


class Company(NamedTuple):
    words: list[str]
    form: str
    country: str
    city: str
    street: str
    code: str
    phone: str
    domain: str


def companies(seed: int, words: Words, many: int = 400) -> tuple[list[Record], set[tuple[str, str]]]:
    """Return the records in a shuffled order, and the pairs of ids that are one company, each in order."""
    chance = random.Random(seed)
    records: list[Record] = []
    number = 0
    for _ in range(many):
        company = _company(chance, words)
        records.append(_record(chance, f"{number}.0", company, _name(company)))
        if chance.random() < 0.34:
            for copy in range(chance.choice([1, 1, 1, 2, 3])):
                records.append(_copy(chance, f"{number}.{copy + 1}", company))
        number += 1
        if chance.random() < 0.34:
            other = _neighbour(chance, company, words)
            records.append(_record(chance, f"{number}.0", other, _name(other)))
            number += 1
    chance.shuffle(records)
    return records, together((one.id, one.id.partition(".")[0]) for one in records)


def companies_like_a_crm(many: int, seed: int) -> tuple[list[Record], set[tuple[str, str]]]:
    """Return about `many` records of `companies` of so many words that names are as seldom alike as in a large CRM."""
    chance = random.Random(seed)
    begin = ["b", "br", "c", "d", "f", "fl", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w"]
    syllables = sorted({a + b + c for a in begin for b in ("a", "e", "i", "o", "u", "au", "ei") for c in "lnrst"})

    def made(some: int) -> list[str]:
        return sorted({"".join(chance.choices(syllables, k=chance.choice([2, 2, 3]))).title() for _ in range(some)})

    return companies(seed, Words(made(6000), made(4000), made(400), chance.sample(syllables, 280)), many * 100 // 192)


def _company(chance: random.Random, words: Words) -> Company:
    country = chance.choice(list(PLACES))
    prefix, cities, forms = PLACES[country]
    made = "".join(chance.choice(words.syllables) for _ in range(3)).title()
    name = {
        "brand trade": [chance.choice([*words.brands, made]), chance.choice(TRADES)],
        "made": [made],
        "made trade": [made, chance.choice(TRADES)],
        "two families": [chance.choice(words.families), "&", chance.choice(words.families)],
        "family trade": [chance.choice(words.families), chance.choice(TRADES)],
        "the brand trades": ["The", chance.choice(words.brands), chance.choice(TRADES), chance.choice(TRADES)],
    }
    said = name[chance.choice(list(name))]
    return Company(
        said,
        chance.choice(forms),
        country,
        chance.choice(cities),
        f"{chance.choice(words.streets)} {chance.choice(['Street', 'Road', 'Avenue'])} {chance.randint(1, 180)}",
        str(chance.randint(10000, 99999)),
        prefix + str(chance.randint(20, 79)) + "".join(str(chance.randint(0, 9)) for _ in range(7)),
        _domain(said, country, chance),
    )


def _domain(said: list[str], country: str, chance: random.Random) -> str:
    bare = _plain("".join(said[:2] if chance.random() < 0.6 else said[:1])).lower()
    bare = "".join(char for char in bare if char.isalnum()) + chance.choice(["", "", "", str(chance.randint(1, 99))])
    return f"{bare}.{chance.choice(['com', country.lower()])}"


def _name(company: Company) -> str:
    if company.form == "株式会社":
        return f"{company.form}{' '.join(company.words)}"
    return f"{' '.join(company.words)} {company.form}".strip()


def _record(chance: random.Random, number: str, company: Company, name: str) -> Record:
    def kept(value: str, share: float) -> str:
        return value if chance.random() < share else ""

    address = chance.random() < 0.75
    box = kept(f"{chance.choice(['info', 'office', 'sales', 'contact'])}@{company.domain}", 0.45)
    phone = kept(company.phone, 0.6)
    return Record(
        number,
        "organization",
        name,
        emails=(box,) if box else (),
        phones=(_written(chance, phone),) if phone else (),
        website=kept(
            chance.choice(["https://www.{}/", "{}", "http://{}/en/home", "www.{}"]).format(company.domain), 0.55
        ),
        street=kept(company.street, 0.8) if address else "",
        city=company.city if address else "",
        code=kept(company.code, 0.85) if address else "",
        country=company.country if chance.random() < 0.7 else "",
    )


def _written(chance: random.Random, phone: str) -> str:
    return chance.choice(
        [phone, f"{phone[:3]} {phone[3:6]} {phone[6:]}", f"00{phone[1:]}" if phone[1] != "1" else phone]
    )


def _copy(chance: random.Random, number: str, company: Company) -> Record:
    """Return a company as somebody else typed it."""
    said, form = list(company.words), company.form
    for _ in range(chance.choice([1, 1, 2, 2, 3])):
        said, form = _altered(chance, said, form, company)
    name = _name(company._replace(words=said, form=form))
    dice = chance.random()
    if dice < 0.12:
        name = name.upper()
    elif dice < 0.2:
        name = name.lower()
    moved = company
    if chance.random() < 0.12:
        moved = moved._replace(street=f"Neuer Weg {chance.randint(1, 99)}", code=str(chance.randint(10000, 99999)))
    if chance.random() < 0.15:
        moved = moved._replace(phone=company.phone[:-2] + f"{chance.randint(0, 99):02}")
    if chance.random() < 0.1:
        moved = moved._replace(domain=company.domain.rpartition(".")[0] + ".net")
    if chance.random() < 0.3:
        moved = moved._replace(
            street=moved.street.replace("Street", "St.").replace("Road", "Rd").replace("Avenue", "Ave")
        )
    return _record(chance, number, moved, name)


def _altered(chance: random.Random, said: list[str], form: str, company: Company) -> tuple[list[str], str]:
    act = chance.choice(
        [
            "no form",
            "no form",
            "form spelt",
            "form of the country",
            "plain",
            "and",
            "short",
            "the",
            "typo",
            "typo",
            "joined",
            "city",
            "shorter",
        ]
    )
    at = max(range(len(said)), key=lambda i: len(said[i]))
    if act == "no form":
        return said, ""
    if act == "form spelt":
        return said, SPELT.get(form, form)
    if act == "form of the country":
        return said, chance.choice(PLACES[company.country][2])
    if act == "plain":
        return [_plain(word) for word in said], form
    if act == "and":
        return [chance.choice(["and", "+", "und"]) if word == "&" else word for word in said], form
    if act == "short":
        return [SHORTENED.get(word, word) for word in said], form
    if act == "the":
        return (said[1:] if said[0] == "The" else ["The", *said]), form
    if act == "typo" and len(said[at]) > 4:
        return [_typo(chance, word) if i == at else word for i, word in enumerate(said)], form
    if act == "joined" and len(said) == 2:
        return ["".join(said)], form
    if act == "city":
        return [*said, company.city], form
    if act == "shorter" and len(said) == 2 and said[1] in TRADES:
        return said[:1], form
    return said, form


def _neighbour(chance: random.Random, company: Company, words: Words) -> Company:
    """Return another company that is easily taken for this one."""
    act = chance.choice(["abroad", "abroad", "holding", "number", "family", "letter"])
    fresh = _company(chance, words)
    if act == "abroad":
        country = chance.choice([one for one in PLACES if one != company.country])
        prefix, cities, forms = PLACES[country]
        city = chance.choice(cities)
        return company._replace(
            words=[*company.words, city] if chance.random() < 0.7 else company.words,
            form=chance.choice(forms),
            country=country,
            city=city,
            street=fresh.street,
            code=fresh.code,
            phone=prefix + fresh.phone[-9:],
            domain=company.domain
            if chance.random() < 0.5
            else f"{company.domain.partition('.')[0]}.{country.lower()}",
        )
    if act == "holding":
        return company._replace(
            words=[*company.words, chance.choice(["Holding", "Group", "Beteiligungs", "Immobilien"])]
        )
    if act == "number":
        return fresh._replace(
            words=[*company.words, str(chance.randint(2, 900))], form=company.form, domain=company.domain
        )
    if act == "family" and company.words[0] in words.families:
        return company._replace(
            words=[company.words[0], chance.choice(["Bakery", "Garage", "Roofing"])], phone=fresh.phone,
            domain=fresh.domain, street=company.street[:-1] + "7",
        )  # fmt: skip
    at = max(range(len(company.words)), key=lambda i: len(company.words[i]))
    near = _typo(chance, company.words[at])
    return fresh._replace(
        words=[near if i == at else word for i, word in enumerate(company.words)],
        domain=f"{_plain(near).lower()}.{fresh.country.lower()}",
    )


def _typo(chance: random.Random, word: str) -> str:
    at = chance.randrange(1, len(word) - 1) if len(word) > 2 else 0
    return chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
            word[:at] + chance.choice("aeinrst") + word[at + 1 :],
            word[:at] + word[at] + word[at:],
        ]
    )


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    return "".join(char for char in apart if not unicodedata.combining(char))
