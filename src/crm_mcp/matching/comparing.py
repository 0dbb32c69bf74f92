"""Two records side by side: what each field says, in bits."""

from . import companies_compared, people_compared
from .companies_compared import companies
from .fields_compared import born, domains, emails, employers, phones, places, slip
from .people_compared import people
from .records import Normal
from .said import Said, hold, text
from .weights import FIELDS, Frequencies

SAME_HOUSE = 4.0
"""What shared address, phone, mail and domain weigh at most when the names contradict: the relatives and flatmates of
a household and the companies of a group share them, and are not one."""
UNITS_AT_MOST = SAME_HOUSE - 6.5
"""What two units of one house may weigh: -7 by their names, 0.5 by the legal form, and what they share."""
GIVEN_AT_MOST = FIELDS["family"].most + FIELDS["given"].differs + 1.5 + SAME_HOUSE
"""What two people of other given names may weigh: the rarest family name, an equal middle name, and what they share."""
PERSON_ADDRESS = (-6.0, 18.0)
COMPANY_ADDRESS = (-4.0, 8.0)
"""An address's parts hang together (a post code says the city), so together they weigh no more than this."""


def compare(a: Normal, b: Normal, frequencies: Frequencies, least: float | None = None) -> list[Said] | None:
    """Return what each field says that both records have; the sum of the weights and the prior are the log2 odds.

    With `least`, None as soon as it is certain that the sum stays below: most pairs of a block end at their names.
    """
    firm = a.record.kind == "organization"
    if least is not None and _surely_two(a, b, frequencies, firm, least):
        return None
    found: list[Said] = []
    contradicts = companies(a, b, frequencies, found) if firm else people(a, b, frequencies, found)
    named = len(found)
    if least is not None:
        best = sum(said.weight for said in found)
        if a.tax_number and a.tax_number == b.tax_number:
            best += FIELDS["tax_number"].most
        best += _at_most(a, b, firm) if not contradicts or slip(a.born, b.born) else SAME_HOUSE
        if best < least:
            return None
    if a.emails and b.emails:
        emails(a, b, frequencies, found, firm)
    if a.phones and b.phones:
        phones(a, b, frequencies, found)
    if a.domains and b.domains and not (len(found) > named and found[named][0::3] == ("email", "equal")):
        domains(a, b, frequencies, found, firm)
    begin = len(found)
    places(a.at, b.at, frequencies, found)
    hold(found, begin, "address", *(COMPANY_ADDRESS if firm else PERSON_ADDRESS))
    same_day = False
    if a.born and b.born:
        same_day = born(a.born, b.born, frequencies, found)
    if a.employer and b.employer:
        employers(a, b, frequencies, found)
    if contradicts and not same_day:
        hold(found, named, "same house", -30.0, SAME_HOUSE)
    if a.tax_number and b.tax_number:
        text(found, "tax_number", a.tax_number, b.tax_number, frequencies, 0.99)
    return found


def _surely_two(a: Normal, b: Normal, frequencies: Frequencies, firm: bool, least: float) -> bool:
    """Say cheaply whether the names contradict and nothing can make up for it."""
    if (a.born and b.born) or (a.tax_number and b.tax_number):
        return False
    if firm:
        return least > UNITS_AT_MOST and companies_compared.surely_two(a, b, frequencies)
    return least > GIVEN_AT_MOST and people_compared.surely_two(a, b)


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
