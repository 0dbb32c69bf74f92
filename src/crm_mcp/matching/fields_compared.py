"""What two records have besides their names, side by side: mailboxes, numbers, domains, addresses, days, employers."""

from .places import Place
from .reach import ROLES
from .records import Normal
from .said import Said, alike, edits, text
from .weights import FIELDS, Frequencies


def emails(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said], firm: bool) -> None:
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
                and edits(x.local, y.local) == 1
                and _same_digits(left, right)
            ):
                said = Said("email", left, right, f"similar {alike(left, right):.2f}", 5.0)
            elif x.local == y.local and x.local not in ROLES and len(x.local) > 3:
                slip = edits(x.domain, y.domain) == 1
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


def phones(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> None:
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
            elif len(x.number) == len(y.number) > 9 and edits(x.number, y.number) == 1:
                said = Said("phone", x.number, y.number, f"similar {alike(x.number, y.number):.2f}", 3.0)
            else:
                said = Said("phone", x.number, y.number, "differs", FIELDS["phone"].differs)
            if best is None or said.weight > best.weight:
                best = said
    if best:
        found.append(best)


def domains(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said], firm: bool) -> None:
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
    elif len(x) > 7 and edits(x, y) == 1 and _same_digits(x, y):
        found.append(Said("domain", x, y, f"similar {alike(x, y):.2f}", 4.0))
    else:
        found.append(Said("domain", x, y, "differs", FIELDS["domain"].differs))


def places(one: Place, two: Place, frequencies: Frequencies, found: list[Said]) -> None:
    if one.street and two.street:
        if one.street != two.street and one.street == two.second and two.street == one.second:
            found.append(
                Said("street", one.street, two.street, "other order", frequencies.bits("street", one.street))
            )
            two = two._replace(second="")
        else:
            text(found, "street", one.street, two.street, frequencies, 0.75)
    if one.house and two.house:
        text(found, "house", one.house, two.house, frequencies, 0.9)
    if one.second and two.second:
        text(found, "second", one.second, two.second, frequencies, 0.7)
    if one.city and two.city:
        text(found, "city", one.city, two.city, frequencies, 0.75)
    if one.code and two.code:
        if one.code != two.code and edits(one.code, two.code) == 1:
            found.append(Said("code", one.code, two.code, f"similar {alike(one.code, two.code):.2f}", 2.5))
        else:
            text(found, "code", one.code, two.code, frequencies, 0.9)
    if one.region and two.region:
        text(found, "region", one.region, two.region, frequencies, 0.9)
    if one.country and two.country:
        text(found, "country", one.country, two.country, frequencies, 0.9)


def slip(x: str, y: str) -> bool:
    """Say whether two dates are the same day, or one is a slip of the other."""
    return bool(x and y) and (x == y or x[:4] + x[6:] + x[4:6] == y or edits(x, y) == 1)


def born(x: str, y: str, frequencies: Frequencies, found: list[Said]) -> bool:
    """Compare dates of birth, and say whether it is the same day or a slip of it."""
    if x == y:
        what, weight = "equal", frequencies.bits("born", x)
    elif x[:4] == y[:4] and x[4:6] == y[6:] and x[6:] == y[4:6]:
        what, weight = "day and month changed", 7.0
    elif edits(x, y) == 1:
        what, weight = f"similar {alike(x, y):.2f}", 4.0
    else:
        found.append(Said("born", x, y, "differs", FIELDS["born"].differs))
        return False
    found.append(Said("born", x, y, what, weight))
    return True


def employers(a: Normal, b: Normal, frequencies: Frequencies, found: list[Said]) -> None:
    left, right = " ".join(a.employer), " ".join(b.employer)
    text(found, "employer", left, right, frequencies, 0.8)
