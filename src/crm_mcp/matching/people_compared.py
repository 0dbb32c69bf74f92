"""Two person names side by side."""

from .names import PersonName
from .records import Normal
from .said import NAME_ALONE, Said, hold, near
from .weights import FIELDS, Frequencies


def surely_two(a: Normal, b: Normal) -> bool:
    """Say whether two given names certainly differ, without weighing them; false where only `people` can tell."""
    one, two = a.person, b.person
    left, right = one.given, two.given
    if not left or not right or left == right or near(left, right) >= 0.80 or " " in left or " " in right:
        return False
    if left == two.family or right == one.family or left in two.middle or right in one.middle:
        return False
    return left[0] != right[0] or not (left.startswith(right) or right.startswith(left))


def people(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> bool:
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
    hold(found, 0, "name", -12.0, NAME_ALONE - frequencies.prior)
    return contradicts


def _names(one: PersonName, two: PersonName, frequencies: Frequencies, into: list[Said]) -> None:
    if one.given and two.given:
        what, weight = _part("given", one.given, two.given, frequencies)
        if what == "differs" and (one.given in two.middle or two.given in one.middle):
            what, weight = "middle name", 2.0
        into.append(Said("given", one.given, two.given, what, weight))
    if one.family and two.family:
        into.append(Said("family", one.family, two.family, *_part("family", one.family, two.family, frequencies)))


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
    score = near(left, right)
    if score >= 0.94:
        return f"similar {score:.2f}", rarer * 0.75
    if score >= 0.88:
        return f"similar {score:.2f}", rarer * 0.55
    if name == "given" and len(short) >= 3 and long.startswith(short):
        return "short form", rarer * 0.5
    if score >= 0.80:
        return f"similar {score:.2f}", rarer * 0.15
    return "differs", FIELDS[name].differs
