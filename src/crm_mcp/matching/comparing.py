"""Two records side by side: what each field says, in bits."""

from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import OSA, JaroWinkler

from .companies import COUNTRIES, UNITS
from .names import PersonName
from .places import Place
from .reach import ROLES
from .records import Normal
from .weights import FIELDS, Frequencies

_near = JaroWinkler.normalized_similarity
_alike = OSA.normalized_similarity
_edits = OSA.distance

SAME_HOUSE = 4.0
"""What shared address, phone, mail and domain weigh at most when the names contradict: the relatives and flatmates of
a household and the companies of a group share them, and are not one."""
PERSON_ADDRESS = (-6.0, 18.0)
COMPANY_ADDRESS = (-4.0, 8.0)
"""An address's parts hang together (a post code says the city), so together they weigh no more than this."""
NAME_ALONE = 2.5
"""The log2 odds that a name alone may reach: it makes a pair likely, never sure."""
WHOLE_NAME = 2.0
"""What it weighs that two companies have all words in common, and not only each."""


class Said(NamedTuple):
    """What one field says of two records."""

    field: str
    left: str
    right: str
    what: str
    weight: float


def compare(a: Normal, b: Normal, frequencies: Frequencies, least: float | None = None) -> list[Said] | None:
    """Return what each field says that both records have; the sum of the weights and the prior are the log2 odds.

    With `least`, None as soon as it is certain that the sum stays below: most pairs of a block end at their names.
    """
    found: list[Said] = []
    firm = a.record.kind == "organization"
    contradicts = _companies(a, b, frequencies, found) if firm else _people(a, b, frequencies, found)
    named = len(found)
    if least is not None:
        best = sum(said.weight for said in found)
        if a.tax_number and a.tax_number == b.tax_number:
            best += FIELDS["tax_number"].most
        best += _at_most(a, b, firm) if not contradicts or _slip(a.born, b.born) else SAME_HOUSE
        if best < least:
            return None
    if a.emails and b.emails:
        _emails(a, b, frequencies, found, firm)
    if a.phones and b.phones:
        _phones(a, b, frequencies, found)
    if a.domains and b.domains and not (len(found) > named and found[named][0::3] == ("email", "equal")):
        _domains(a, b, frequencies, found, firm)
    begin = len(found)
    _places(a.at, b.at, frequencies, found)
    least, most = COMPANY_ADDRESS if firm else PERSON_ADDRESS
    _hold(found, begin, "address", least, most)
    same_day = False
    if a.born and b.born:
        same_day = _born(a.born, b.born, frequencies, found)
    if a.employer and b.employer:
        _employers(a, b, frequencies, found)
    if contradicts and not same_day:
        _hold(found, named, "same house", -30.0, SAME_HOUSE)
    if a.tax_number and b.tax_number:
        _text(found, "tax_number", a.tax_number, b.tax_number, frequencies, 0.99)
    return found


def _at_most(a: Normal, b: Normal, firm: bool) -> float:
    """Return what the fields other than the name can weigh at most; cheaply, and never too little."""
    best = FIELDS["country"].most + (FIELDS["region"].most if a.at.region and b.at.region else 0.0)
    if a.emails and b.emails:
        best += FIELDS["email"].most if any(box in b.emails for box in a.emails) else FIELDS["local"].most
    if a.phones and b.phones:
        tails = {phone.number[-8:] for phone in b.phones}
        best += FIELDS["phone"].most if any(phone.number[-8:] in tails for phone in a.phones) else 3.0
    if a.domains and b.domains:
        best += FIELDS["domain"].most if firm else 2.0
    if a.at and b.at:
        best += (COMPANY_ADDRESS if firm else PERSON_ADDRESS)[1]
    if a.born and b.born:
        best += FIELDS["born"].most if a.born == b.born else 7.0 if sorted(a.born) == sorted(b.born) else 4.0
    if a.employer and b.employer:
        best += FIELDS["employer"].most
    return best


def _hold(found: list[Said], begin: int, what: str, least: float, most: float) -> None:
    """Keep what a group of findings weighs together between two bounds, and say by how much."""
    total = 0.0
    for said in found[begin:]:
        total += said.weight
    if not least <= total <= most:
        found.append(Said(what, "", "", "counted together", (most if total > most else least) - total))


def _text(found: list[Said], name: str, left: str, right: str, frequencies: Frequencies, least: float) -> None:
    """Compare two texts: agreement weighs by frequency, likeness above `least` a share of it, else it contradicts."""
    if left == right:
        found.append(Said(name, left, right, "equal", frequencies.bits(name, left)))
        return
    score = _alike(left, right)
    if score < least and left.replace(" ", "") == right.replace(" ", ""):
        score = 0.95
    if score >= least:
        rarer = min(frequencies.bits(name, left), frequencies.bits(name, right))
        share = 0.35 + 0.5 * (score - least) / (1 - least)
        found.append(Said(name, left, right, f"similar {score:.2f}", rarer * share))
    else:
        found.append(Said(name, left, right, "differs", FIELDS[name].differs))


def _part(name: str, left: str, right: str, frequencies: Frequencies) -> tuple[str, float]:
    """Return what two given or two family names say, and its weight."""
    if left == right:
        return "equal", frequencies.bits(name, left)
    rarer = min(frequencies.bits(name, left), frequencies.bits(name, right))
    short, long = (left, right) if len(left) < len(right) else (right, left)
    if len(short) == 1:
        return ("initial", 1.5) if long[0] == short else ("differs", FIELDS[name].differs)
    if " " in left or " " in right:
        if left.replace(" ", "") == right.replace(" ", ""):
            return "similar 0.95", rarer * 0.9
        if set(short.split()) & set(long.split()) and name == "family":
            return "in part", rarer * 0.5
    score = _near(left, right)
    if score >= 0.94:
        return f"similar {score:.2f}", rarer * 0.75
    if score >= 0.88:
        return f"similar {score:.2f}", rarer * 0.55
    if name == "given" and len(short) >= 3 and long.startswith(short):
        return "short form", rarer * 0.5
    if score >= 0.80:
        return f"similar {score:.2f}", rarer * 0.15
    return "differs", FIELDS[name].differs


def _people(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> bool:
    """Compare two person names in both orders, and say whether they name two people of one family."""
    one, two = a.person, b.person
    straight: list[Said] = []
    _names(one, two, frequencies, straight)
    if (one.given and one.given == two.family) or (one.family and one.family == two.given):
        crossed: list[Said] = []
        turned = two._replace(given=two.family, family=two.given)
        _names(one, turned, frequencies, crossed)
        crossed.append(Said("name", one.given, two.family, "other order", -1.0))
        if sum(said.weight for said in crossed) > sum(said.weight for said in straight):
            straight = crossed
    if one.middle and two.middle:
        left, right = one.middle[0], two.middle[0]
        agree = left == right or (1 in (len(left), len(right)) and left[0] == right[0])
        straight.append(Said("middle", left, right, "equal" if agree else "differs", 1.5 if agree else -2.0))
    contradicts = any(said.field == "given" and said.what == "differs" for said in straight)
    if one.generation and two.generation and one.generation != two.generation:
        straight.append(Said("generation", str(one.generation), str(two.generation), "differs", -14.0))
        contradicts = True
    found += straight
    _hold(found, 0, "name", -12.0, NAME_ALONE - frequencies.prior)
    return contradicts


def _names(one: PersonName, two: PersonName, frequencies: Frequencies, into: list[Said]) -> None:
    if one.given and two.given:
        what, weight = _part("given", one.given, two.given, frequencies)
        if what == "differs" and (one.given in two.middle or two.given in one.middle):
            what, weight = "middle name", 2.0
        into.append(Said("given", one.given, two.given, what, weight))
    if one.family and two.family:
        into.append(Said("family", one.family, two.family, *_part("family", one.family, two.family, frequencies)))


def _companies(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> bool:
    """Compare two company names word by word, and say whether they name two units of one house."""
    one, two = a.company, b.company
    contradicts = False
    if one.core and two.core:
        what, weight, contradicts = _cores(a, b, frequencies)
        found.append(Said("name", " ".join(one.core), " ".join(two.core), what, weight))
    if one.form and two.form:
        if one.form == two.form:
            found.append(Said("legal form", one.form, two.form, "equal", 0.5))
        else:
            there = COUNTRIES.get(one.form, frozenset()), COUNTRIES.get(two.form, frozenset())
            apart = all(there) and not there[0] & there[1]
            what = "of another country" if apart else "differs"
            found.append(Said("legal form", one.form, two.form, what, -6.5 if apart else -1.0))
            contradicts = contradicts or apart
    dialled = {phone.country for phone in a.phones} - {0}, {phone.country for phone in b.phones} - {0}
    here, there = a.at.country, b.at.country
    if (here and there and here != there) or (all(dialled) and not dialled[0] & dialled[1]):
        found.append(Said("country", here, there, "of another country", -3.0))
        contradicts = True
    return contradicts


def _cores(a: Normal, b: Normal, frequencies: Frequencies) -> tuple[str, float, bool]:
    """Return what two company names say, its weight, and whether they name two units of one house."""
    if a.company.core == b.company.core:
        return "equal", _agreed(a.company.core, frequencies), False
    one, two, elsewhere = _places_aside(a, b, frequencies)
    if elsewhere == "differs":
        return "in another place", -8.0, True
    what, weight, contradicts = _words_apart(one, two, frequencies)
    if elsewhere and not contradicts:
        return f"{what}, {elsewhere}", weight - (0.5 if elsewhere == "and its city" else 2.5), False
    return what, weight, contradicts


def _agreed(core: Sequence[str], frequencies: Frequencies) -> float:
    return min(NAME_ALONE - frequencies.prior, WHOLE_NAME + sum(frequencies.bits("word", word) for word in core))


def _places_aside(a: Normal, b: Normal, frequencies: Frequencies) -> tuple[list[str], list[str], str]:
    """Return both names without the cities that only one of them has, and what these say."""
    one, two, aside = list(a.company.core), list(b.company.core), ([""], [""])
    for mine, other, at, into in ((one, two, a.at, aside[0]), (two, one, b.at, aside[1])):
        for word in tuple(mine):
            if len(mine) > 1 and word not in other and (word in at.city.split() or frequencies.is_city(word)):
                mine.remove(word)
                into.append(word)
    left, right = aside[0][1:], aside[1][1:]
    if not left and not right:
        return one, two, ""
    if left and right:
        return one, two, "differs"
    lacking, there = (b.at.city, left) if left else (a.at.city, right)
    if not lacking:
        return one, two, "and a city"
    return one, two, "and its city" if set(there) & set(lacking.split()) else "differs"


def _words_apart(one: list[str], two: list[str], frequencies: Frequencies) -> tuple[str, float, bool]:
    """Pair the words of two names, the equal first, then the most alike; what is left over speaks against."""
    joined = "".join(one), "".join(two)
    if joined[0] == joined[1]:
        return "same words", max(_agreed(one, frequencies), _agreed(two, frequencies)) - 0.5, False
    if sorted(one) == sorted(two):
        return "other order", _agreed(one, frequencies) - 0.5, False
    short, long = (one, two) if len(one) <= len(two) else (two, one)
    if len(short) == 1 and len(long) >= 3 and short[0] == "".join(word[0] for word in long):
        return "initials", 6.0, False
    agreed, left, right = 0.0, list(one), list(two)
    for word in one:
        if word in right:
            left.remove(word)
            right.remove(word)
            agreed += frequencies.bits("word", word)
    near = sorted(((_stands_for(x, y), x, y) for x in left for y in right), key=lambda met: (-met[0], met[1], met[2]))
    for like, x, y in near:
        if like and x in left and y in right:
            left.remove(x)
            right.remove(y)
            agreed += like * min(frequencies.bits("word", x), frequencies.bits("word", y))
    agreed, score = min(NAME_ALONE - frequencies.prior, agreed), _alike(*joined)
    if not left and not right:
        return f"similar {score:.2f}", agreed, False
    if any(word.isdigit() or word in UNITS for word in (*left, *right)):
        return "another unit", max(-12.0, min(agreed, 6.0) - 13.0), True
    if left and right:
        rest = _alike("".join(left), "".join(right))
        if max(rest, score - 0.15) >= 0.65:
            return f"similar {score:.2f}", 0.6 * agreed + 15 * (rest - 0.7), False
        return "differs", max(-12.0, min(agreed, 6.0) - 14.0), True
    return "in part", agreed - 0.5 - 0.5 * sum(frequencies.bits("word", word) for word in left or right), False


def _stands_for(x: str, y: str) -> float:
    """Return how far one word may stand for another: a typing error or an abbreviation; numbers never."""
    short, long = (x, y) if len(x) <= len(y) else (y, x)
    if x.isdigit() or y.isdigit() or x in UNITS or y in UNITS or len(short) < 3:
        return 0.0
    score = _alike(x, y)
    if len(short) >= 4 and (score >= 0.75 or _edits(x, y) == 1):
        return 0.9 * max(score, 0.8)
    if long.startswith(short) and (len(short) >= 4 or len(long) > 6):
        return 0.6
    return 0.0


def _emails(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said], firm: bool) -> None:
    """Compare the mailboxes two records have, and let the best pair speak."""
    best: Said | None = None
    for x in a.emails:
        for y in b.emails:
            left, right = str(x), str(y)
            if x == y:
                weight = frequencies.bits("email", left)
                said = Said(
                    "email", left, right, "equal", min(weight, 6.0) if x.local in ROLES and not firm else weight
                )
            elif (
                x.domain == y.domain
                and len(x.local) > 4
                and _edits(x.local, y.local) == 1
                and _same_digits(left, right)
            ):
                said = Said("email", left, right, f"similar {_alike(left, right):.2f}", 5.0)
            elif x.local == y.local and x.local not in ROLES and len(x.local) > 3:
                slip = _edits(x.domain, y.domain) == 1
                weight = frequencies.bits("local", x.local)
                said = Said("email", left, right, "same before the @", max(weight, 5.0) if slip else weight)
            else:
                said = Said("email", left, right, "differs", 0.0 if firm else FIELDS["email"].differs)
            if best is None or said.weight > best.weight:
                best = said
    if best and best.weight:
        found.append(best)


def _same_digits(left: str, right: str) -> bool:
    return [char for char in left if char.isdigit()] == [char for char in right if char.isdigit()]


def _phones(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> None:
    best: Said | None = None
    for x in a.phones:
        for y in b.phones:
            if x.number == y.number:
                apart = x.extension and y.extension and x.extension != y.extension
                said = (
                    Said("phone", x.number, y.number, "other extension", 1.0)
                    if apart
                    else Said("phone", x.number, y.number, "equal", frequencies.bits("phone", x.number))
                )
            elif x.number[-8:] == y.number[-8:] and len(x.number) > 8 and len(y.number) > 8:
                said = Said(
                    "phone", x.number, y.number, "same but for the code", 0.7 * frequencies.bits("phone", x.number)
                )
            elif len(x.number) == len(y.number) > 9 and _edits(x.number, y.number) == 1:
                said = Said("phone", x.number, y.number, f"similar {_alike(x.number, y.number):.2f}", 3.0)
            else:
                said = Said("phone", x.number, y.number, "differs", FIELDS["phone"].differs)
            if best is None or said.weight > best.weight:
                best = said
    if best:
        found.append(best)


def _domains(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said], firm: bool) -> None:
    """Compare web domains; to a person, a domain is where they work and says little."""
    both = sorted(set(a.domains) & set(b.domains))
    if both:
        weight = max(frequencies.bits("domain", one) for one in both)
        found.append(Said("domain", both[0], both[0], "equal", weight if firm else min(weight * 0.2, 2.0)))
        return
    if not firm:
        return
    x, y = a.domains[0], b.domains[0]
    if any(left.partition(".")[0] == right.partition(".")[0] for left in a.domains for right in b.domains):
        found.append(Said("domain", x, y, "same but for its end", 4.0))
    elif len(x) > 7 and _edits(x, y) == 1 and _same_digits(x, y):
        found.append(Said("domain", x, y, f"similar {_alike(x, y):.2f}", 4.0))
    else:
        found.append(Said("domain", x, y, "differs", FIELDS["domain"].differs))


def _places(one: Place, two: Place, frequencies: Frequencies, found: list[Said]) -> None:
    if one.street and two.street:
        if one.street != two.street and one.street == two.second and two.street == one.second:
            found.append(
                Said("street", one.street, two.street, "other order", frequencies.bits("street", one.street))
            )
            two = two._replace(second="")
        else:
            _text(found, "street", one.street, two.street, frequencies, 0.75)
    if one.house and two.house:
        _text(found, "house", one.house, two.house, frequencies, 0.9)
    if one.second and two.second:
        _text(found, "second", one.second, two.second, frequencies, 0.7)
    if one.city and two.city:
        _text(found, "city", one.city, two.city, frequencies, 0.75)
    if one.code and two.code:
        if one.code != two.code and _edits(one.code, two.code) == 1:
            found.append(Said("code", one.code, two.code, f"similar {_alike(one.code, two.code):.2f}", 2.5))
        else:
            _text(found, "code", one.code, two.code, frequencies, 0.9)
    if one.region and two.region:
        _text(found, "region", one.region, two.region, frequencies, 0.9)
    if one.country and two.country:
        _text(found, "country", one.country, two.country, frequencies, 0.9)


def _slip(x: str, y: str) -> bool:
    """Say whether two dates are the same day, or one is a slip of the other."""
    return bool(x and y) and (x == y or x[:4] + x[6:] + x[4:6] == y or _edits(x, y) == 1)


def _born(x: str, y: str, frequencies: Frequencies, found: list[Said]) -> bool:
    """Compare dates of birth, and say whether it is the same day or a slip of it."""
    if x == y:
        what, weight = "equal", frequencies.bits("born", x)
    elif x[:4] == y[:4] and x[4:6] == y[6:] and x[6:] == y[4:6]:
        what, weight = "day and month changed", 7.0
    elif _edits(x, y) == 1:
        what, weight = f"similar {_alike(x, y):.2f}", 4.0
    else:
        found.append(Said("born", x, y, "differs", FIELDS["born"].differs))
        return False
    found.append(Said("born", x, y, what, weight))
    return True


def _employers(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> None:
    left, right = " ".join(a.employer), " ".join(b.employer)
    _text(found, "employer", left, right, frequencies, 0.8)
