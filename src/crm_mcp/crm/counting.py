"""Numbers with their noun, as a person says them."""


def counted(number: int, noun: str) -> str:
    """Return 1 day, 2 days, 0 days."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
