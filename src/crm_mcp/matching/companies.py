"""Company names: the words that name it, its legal form, and the words that say which unit it is."""

import re
from typing import NamedTuple

from .text import fold, words

_FORMS = {
    # canonical form: (countries, spellings)
    "gmbh": ("de at ch", "gmbh, gesellschaft mit beschrankter haftung, gesmbh, ges mbh, mbh, ggmbh"),
    "gmbh co kg": ("de at", "gmbh co kg, gmbh co, gmbh co kgaa, gmbhco kg, gmbh cokg, ag co kg, se co kg, ug co kg"),
    "kg": ("de at", "kg, kommanditgesellschaft"),
    "ohg": ("de at", "ohg, offene handelsgesellschaft"),
    "ug": ("de", "ug haftungsbeschrankt, ug, unternehmergesellschaft"),
    "gbr": ("de", "gbr"),
    "ek": ("de", "ek, ekfm, e k"),
    "ev": ("de", "ev, e v"),
    "eg": ("de", "eg, e g"),
    "ag": ("de at ch", "ag, aktiengesellschaft"),
    "se": ("eu", "se"),
    "kgaa": ("de", "kgaa, ag co kgaa, se co kgaa"),
    "sarl": ("fr lu ch", "sarl, sa rl, s a r l, societe a responsabilite limitee, eurl"),
    "sas": ("fr", "sas, sasu, s a s, societe par actions simplifiee"),
    "sa": ("fr be ch es pt lu pl", "sa, s a, societe anonyme, sociedad anonima"),
    "snc": ("fr it", "snc"),
    "sl": ("es", "sl, slu, s l, sociedad limitada, sociedad de responsabilidad limitada, srl de cv"),
    "sa de cv": ("mx", "sa de cv, sab de cv, s de rl de cv, s de rl"),
    "srl": ("it ro be", "srl, srls, s r l, societa a responsabilita limitata"),
    "spa": ("it cl", "spa, s p a, societa per azioni"),
    "lda": ("pt", "lda, limitada, unipessoal lda"),
    "ltda": ("br cl co", "ltda, ltda me, eireli"),
    "bv": ("nl be", "bv, b v, besloten vennootschap"),
    "nv": ("nl be", "nv, n v, naamloze vennootschap"),
    "vof": ("nl", "vof"),
    "ab": ("se fi", "ab, aktiebolag, ab publ"),
    "as": ("no dk cz tr", "as, a s, aksjeselskap, aktieselskab"),
    "asa": ("no", "asa"),
    "aps": ("dk", "aps, anpartsselskab"),
    "oy": ("fi", "oy, oyj, osakeyhtio, oy ab"),
    "ehf": ("is", "ehf, hf"),
    "ou": ("ee", "ou, osauhing"),
    "sia": ("lv", "sia"),
    "uab": ("lt", "uab"),
    "spzoo": ("pl", "sp z oo, sp zoo, spzoo, sp z o o, spolka z oo, spolka z ograniczona odpowiedzialnoscia"),
    "sro": ("cz sk", "sro, s r o, spol s ro"),
    "doo": ("hr rs si ba", "doo, d o o, dd"),
    "kft": ("hu", "kft, zrt, nyrt, bt"),
    "ood": ("bg", "ood, eood, ad"),
    "ooo": ("ru", "ooo, oao, zao, pao, ооо, оао, зао, пао, ао"),
    "ike": ("gr", "ike, epe, ae"),
    "as tr": ("tr", "ltd sti, limited sirketi, anonim sirketi"),
    "ltd": ("gb ie il in za ng ke nz", "ltd, limited, private limited company"),
    "plc": ("gb ie", "plc, public limited company"),
    "llp": ("gb us in", "llp, lp, limited liability partnership"),
    "teoranta": ("ie", "teo, teoranta, dac, clg"),
    "pty": ("au za", "pty ltd, pty limited, pty, proprietary limited"),
    "pvt": ("in pk lk", "pvt ltd, private limited, pvt limited, pvt"),
    "pte": ("sg", "pte ltd, pte limited, pte, private ltd"),
    "bhd": ("my", "sdn bhd, bhd, berhad"),
    "pt": ("id", "pt, tbk, persero"),
    "inc": ("us ca ph", "inc, incorporated, co inc, company inc"),
    "corp": ("us ca ph", "corp, corporation"),
    "llc": ("us ae", "llc, l l c, limited liability company, pllc, pc"),
    "co ltd": ("", "co ltd, company limited, co limited"),
    "co": ("", "co, company, cie, compagnie, cia, compania, firma, fa"),
    "kk": ("jp", "kk, k k, kabushiki kaisha, kabushiki gaisha"),
    "gk": ("jp", "gk, godo kaisha, yk, yugen kaisha"),
    "jsc": ("vn kz ge", "jsc, joint stock company, cjsc, ojsc"),
    "fze": ("ae", "fze, fzco, fz llc"),
}
FORMS: dict[tuple[str, ...], str] = {
    tuple(spelling.split()): form for form, (_, spellings) in _FORMS.items() for spelling in spellings.split(", ")
}
COUNTRIES: dict[str, frozenset[str]] = {form: frozenset(where.split()) for form, (where, _) in _FORMS.items()}
_LONGEST = max(map(len, FORMS))
_FRONT = frozenset(
    {("pt",), ("ooo",), ("ооо",), ("оао",), ("зао",), ("ао",), ("firma",), ("fa",), ("kk",), ("uab",), ("sia",)}
)
"""Forms that also stand before the name."""
_EAST = (
    ("股份有限公司", "kk cn"),
    ("有限责任公司", "cn"),
    ("有限公司", "cn"),
    ("株式会社", "kk"),
    ("有限会社", "gk"),
    ("合同会社", "gk"),
    ("(株)", "kk"),
    ("(有)", "gk"),
    ("주식회사", "kr"),
    ("(주)", "kr"),
)
AND = frozenset(["and", "und", "et", "y", "e", "og", "och", "en", "ja", "i"])
SHORT = {
    "intl": "international", "int": "international", "internat": "international", "mfg": "manufacturing",
    "bros": "brothers", "gebr": "gebruder", "assoc": "associates", "svc": "services", "svcs": "services",
    "service": "services", "tech": "technologies", "technology": "technologies", "mgmt": "management",
    "grp": "group", "gruppe": "group", "groupe": "group", "gruppo": "group", "grupo": "group", "hldg": "holding",
    "hldgs": "holding", "holdings": "holding", "natl": "national", "eng": "engineering", "ind": "industries",
    "inds": "industries", "industry": "industries", "industrie": "industries", "centre": "center", "ctr": "center",
    "sys": "systems", "system": "systems", "systeme": "systems", "solution": "solutions", "dist": "distribution",
    "univ": "university", "dept": "department", "labs": "laboratories", "lab": "laboratories", "pharma":
    "pharmaceuticals", "logistic": "logistics", "logistik": "logistics", "consult": "consulting", "partner":
    "partners", "st": "saint", "sankt": "saint",
}  # fmt: skip
UNITS = frozenset(
    [
        "holding",
        "group",
        "beteiligungen",
        "beteiligungs",
        "verwaltungs",
        "verwaltung",
        "vermogensverwaltung",
        "immobilien",
        "realestate",
        "properties",
        "capital",
        "ventures",
        "stiftung",
        "foundation",
        "trust",
        "finance",
        "leasing",
        "insurance",
        "east",
        "west",
        "north",
        "south",
        "ost",
        "nord",
        "sud",
        "europe",
        "asia",
        "africa",
        "americas",
        "emea",
        "apac",
        "latam",
        "usa",
        "uk",
        "us",
        "germany",
        "france",
        "italy",
        "spain",
        "espana",
        "deutschland",
        "schweiz",
        "austria",
        "japan",
        "china",
        "india",
        "canada",
        "australia",
        "brasil",
        "mexico",
        "polska",
        "nederland",
    ]
)
"""Words of which one company of a house is told from another: a name with one is not the same as a name without."""
_NUMBERS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "ii": "2", "iii": "3", "iv": "4"}
_JOINED = re.compile(r"\s*[&+]\s*")
_ASIDE = re.compile(r"\((?:formerly|vormals|ex|previously|dba|t/a)[^)]*\)")


class CompanyName(NamedTuple):
    core: tuple[str, ...]
    """The words that name it, in their order, abbreviations spelt out."""
    form: str
    """The legal form, "" where none is stated."""


def company_name(name: str) -> CompanyName:
    """Return what a company is called without "The", its legal form, connecting words and punctuation."""
    text, form = _ASIDE.sub(" ", _JOINED.sub(" ", fold(name))), ""
    if not text.isascii():
        for mark, eastern in _EAST:
            if mark in text and text.strip() != mark:
                text, form = text.replace(mark, " "), eastern
    said = words(text)
    if len(said) > 1 and said[0] in {"the", "die", "der", "das", "la", "le", "les", "el", "il"}:
        said = said[1:]
    said = _singles(said)
    while True:
        size = next((n for n in range(min(_LONGEST, len(said) - 1), 0, -1) if tuple(said[-n:]) in FORMS), 0)
        if not size:
            break
        form, said = form or FORMS[tuple(said[-size:])], said[:-size]
    if len(said) > 1 and (said[0],) in _FRONT:
        form, said = form or FORMS[(said[0],)], said[1:]
    core = [SHORT.get(word, _NUMBERS.get(word, word)) for i, word in enumerate(said) if not _joins(said, i)]
    return CompanyName(tuple(core), form)


def _joins(said: list[str], at: int) -> bool:
    """Say whether the word between two others only joins them."""
    return 0 < at < len(said) - 1 and said[at] in AND


def _singles(said: list[str]) -> list[str]:
    """Put single letters in a row at the end together: "s a r l" is a form, "a b" perhaps a name."""
    end = len(said)
    begin = end
    while begin > 1 and len(said[begin - 1]) == 1 and said[begin - 1].isalpha():
        begin -= 1
    if end - begin > 1 and ("".join(said[begin:]),) in FORMS:
        return [*said[:begin], "".join(said[begin:])]
    return said
