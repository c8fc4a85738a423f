"""How this package writes lists of words: as text, which reads better than a thousand quotation marks."""


def words(table: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(table.split())


def in_order(table: str) -> list[str]:
    """The words of a text, in their order."""
    return table.split()


def grouped(table: str) -> dict[str, str]:
    """Each word to the one that stands for it: the first of its line."""
    return {word: line.split()[0] for line in table.strip().splitlines() for word in line.split()}


def translated(table: str) -> dict[str, str]:
    """Entries like "short = what it stands for", separated by commas or line ends."""
    entries = table.replace("\n", ",").split(",")
    pairs = [entry.split("=") for entry in entries if entry.strip()]
    return {left.strip(): right.strip() for left, right in pairs}
