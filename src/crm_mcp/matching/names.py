"""Person names: order, titles, particles, generations and initials."""

from typing import NamedTuple

from .text import fold, words

TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "dr",
        "drs",
        "prof",
        "professor",
        "sir",
        "dame",
        "lord",
        "lady",
        "rev",
        "fr",
        "hon",
        "herr",
        "frau",
        "hr",
        "fru",
        "mme",
        "mlle",
        "monsieur",
        "madame",
        "sra",
        "srta",
        "don",
        "dona",
        "dott",
        "dottssa",
        "ing",
        "dipl",
        "diplom",
        "dipling",
        "mag",
        "sig",
        "signora",
        "signor",
        "dhr",
        "mevr",
        "pan",
        "pani",
        "shri",
        "smt",
    ]
)
AFTER = frozenset(
    ["phd", "md", "mba", "msc", "bsc", "ma", "ba", "llm", "llb", "esq", "cpa", "dds", "pe", "rn", "ret", "mag"]
)
GENERATIONS = {"jr": 2, "junior": 2, "sr": 1, "senior": 1, "ii": 2, "iii": 3, "iv": 4}
PARTICLES = frozenset(
    [
        "van",
        "von",
        "der",
        "den",
        "de",
        "del",
        "della",
        "di",
        "da",
        "dos",
        "das",
        "du",
        "la",
        "le",
        "ter",
        "ten",
        "zu",
        "zum",
        "af",
        "av",
        "bin",
        "ibn",
        "al",
        "el",
    ]
)


class PersonName(NamedTuple):
    given: str
    middle: tuple[str, ...]
    family: str
    generation: int
    """1 for senior, 2 for junior or II, …; 0 where nothing is said."""


NOBODY = PersonName("", (), "", 0)


def person_name(name: str = "", given: str = "", family: str = "") -> PersonName:
    """Return the parts of a name, from its fields where they are filled, else from the name as it is written.

    "Doe, Jane" is turned round. Without a comma the last word is the family's, with the particles before it
    ("Ludwig van der Berg"). A single word is taken for the family's. No nicknames: which "Ale" is Alejandro and which
    Alessia is guessing, and a shortened name ("Rob", "Robert") is recognised by its beginning.
    """
    if not (given or family):
        front, comma, back = name.partition(",")
        if comma and not set(words(fold(back))) <= {*AFTER, *GENERATIONS}:
            family, given = front, back
        else:
            given, family = _parted(words(fold(name)))
    first, generation = _bare(words(fold(given)))
    last, another = _bare(words(fold(family)))
    if not last and len(first) > 1 and not family:
        first, last = first[:-1], first[-1:]
    elif not last and not family:
        first, last = [], first
    return PersonName(first[0] if first else "", tuple(first[1:]), " ".join(last), generation or another)


def _parted(said: list[str]) -> tuple[str, str]:
    """Part words into given and family names; generations and letters after the name stay with the family's."""
    end = len(said)
    while end > 1 and (said[end - 1] in AFTER or said[end - 1] in GENERATIONS):
        end -= 1
    begin = 0
    while begin < end - 1 and (said[begin] in TITLES or said[begin] == "sr"):
        begin += 1
    core = said[begin:end]
    if len(core) < 2:
        return "", " ".join(said[begin:])
    at = next((i for i, word in enumerate(core[1:-1], 1) if word in PARTICLES), len(core) - 1)
    return " ".join(core[:at]), " ".join([*core[at:], *said[end:]])


def _bare(said: list[str]) -> tuple[list[str], int]:
    """Take titles off the front, letters and generations off the end."""
    generation, begin, end = 0, 0, len(said)
    while end > begin + 1 and (said[end - 1] in AFTER or said[end - 1] in GENERATIONS):
        end -= 1
        generation = GENERATIONS.get(said[end], generation)
    while begin < end - 1 and said[begin] in TITLES:
        begin += 1
    if end - begin == 1 and said[begin] in TITLES and len(said[begin]) > 1 and begin == 0 and len(said) == 1:
        return [], generation
    return said[begin:end], generation
