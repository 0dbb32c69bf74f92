"""Two company names side by side: word by word, their legal forms, and whether they name two units of one house."""

from collections.abc import Sequence

from .companies import COUNTRIES, UNITS
from .records import Normal
from .said import NAME_ALONE, Said, alike
from .weights import Frequencies

WHOLE_NAME = 2.0
"""What it weighs that two companies have all words in common, and not only each."""


def surely_two(a: Normal, b: Normal, frequencies: Frequencies) -> bool:
    """Say whether two names certainly name two units, without weighing them; false where only `companies` can tell.

    Most pairs of a block end here, so it asks what costs least first.
    """
    one, two = a.company.core, b.company.core
    left = [word for word in one if word not in two]
    right = [word for word in two if word not in one]
    if not left or not right or a.joined == b.joined or len(one) - len(left) != len(two) - len(right):
        return False
    if not frequencies.cities.isdisjoint(left) or not frequencies.cities.isdisjoint(right):
        return False
    if alike("".join(left), "".join(right)) >= 0.65 or alike(a.joined, b.joined) - 0.15 >= 0.65:
        return False
    if 1 in (len(one), len(two)) and _initials(one, two):
        return False
    if max(len(one), len(two)) > 3 and (len({*one}) < len(one) or len({*two}) < len(two)):
        return False
    for x in left:
        for y in right:
            if _stands_for(x, y):
                return False
    return True


def companies(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> bool:
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
    if _initials(one, two):
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
    agreed, score = min(NAME_ALONE - frequencies.prior, agreed), alike(*joined)
    if not left and not right:
        return f"similar {score:.2f}", agreed, False
    if any(word.isdigit() or word in UNITS for word in (*left, *right)):
        return "another unit", max(-12.0, min(agreed, 6.0) - 13.0), True
    if left and right:
        rest = alike("".join(left), "".join(right))
        if max(rest, score - 0.15) >= 0.65:
            return f"similar {score:.2f}", 0.6 * agreed + 15 * (rest - 0.7), False
        return "differs", max(-12.0, min(agreed, 6.0) - 14.0), True
    return "in part", agreed - 0.5 - 0.5 * sum(frequencies.bits("word", word) for word in left or right), False


def _initials(one: Sequence[str], two: Sequence[str]) -> bool:
    short, long = (one, two) if len(one) <= len(two) else (two, one)
    return len(short) == 1 and len(long) >= 3 and short[0] == "".join(word[0] for word in long)


def _stands_for(x: str, y: str) -> float:
    """Return how far one word may stand for another: a typing error or an abbreviation; numbers never."""
    short, long = (x, y) if len(x) <= len(y) else (y, x)
    least, more = len(short), len(long) - len(short)
    like = 0.0
    if least >= 4 and 4 * more <= least + more and (score := alike(x, y)) >= 0.75:
        like = 0.9 * max(score, 0.8)
    elif least >= 3 and long.startswith(short) and (least >= 4 or least + more > 6):
        like = 0.6
    if like and (x.isdigit() or y.isdigit() or x in UNITS or y in UNITS):
        return 0.0
    return like
