"""Why an answer must not stand in for another question's."""

from enum import StrEnum


class Guard(StrEnum):
    """What differs between a question and the one that was answered, though their embeddings lie close together."""

    NUMBERS = "numbers"
    UNITS = "units"
    NEGATION = "negation"
    OPPOSITES = "opposites"
    CALENDAR = "calendar"
    """Weekdays, months, today or tomorrow, last or next."""
    TENSE = "tense"
    SYMBOLS = "symbols"
    QUOTES = "quotes"
    NAMES = "names"
    """A word that is likely a name stands on one side only."""
    SUBJECTS = "subjects"
    """In an otherwise equal question one word took another's place."""
    DIRECTION = "direction"
    """The same words, but who does what to whom differs."""
    QUESTION_TYPE = "question_type"
    """Who, when, where, how many; may I or should I."""
    PERSON = "person"
    """Mine or yours, his or hers."""
    EXTENT = "extent"
    """All or some, only, most, first, too."""
    SPEAKER = "speaker"
    """It tells something of who asks, so its answer is not for others."""
