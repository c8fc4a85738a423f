"""What the demo's help desk knows, and in how many ways it is asked. Made up for the demo."""

import itertools
from dataclasses import dataclass
from typing import Final

from libs.core.rng import new_rng

_INTRODUCTION: Final = "You answer for the help desk of a shop."
# Each is long enough that the simulator says it as it stands, whichever way it is asked.
_TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "A refund is paid to the card that the order was paid with, within five working days after the parcel has come "
    "back to our warehouse and has been looked at there by one of us": (
        "When do I get my refund?",
        "When will the refund be paid?",
        "How do refunds work?",
        "How long do I wait for a refund?",
        "Where is my refund?",
    ),
    "A forgotten password is reset on the sign-in page with the link below the form, which sends a message with a new "
    "link that is good for one hour to the address of the account": (
        "How do I reset my password?",
        "How can I reset my password?",
        "I forgot my password, how do I reset it?",
        "How to reset a forgotten password?",
        "Where do I reset the password?",
    ),
    "A delivery inside the country takes two working days, and you can follow where the parcel is at any time with the "
    "number that stands in the message we send when it leaves us": (
        "How long does delivery take?",
        "When is my delivery coming?",
        "How can I follow my delivery?",
        "Where is my parcel?",
        "How do I follow the parcel?",
    ),
    "An invoice can be downloaded as a file from the page of the order in your account, from the day on which the "
    "order was sent until ten years later, as often as you like": (
        "How do I get an invoice?",
        "Where can I download my invoice?",
        "How do I download an invoice?",
        "Where is the invoice of my order?",
        "How can I download the invoice?",
    ),
    "A subscription can be cancelled at any time on the billing page of the account, and it then ends with the month "
    "that is already paid for, without any further notice by you": (
        "How do I cancel my subscription?",
        "How can I cancel the subscription?",
        "Where do I cancel a subscription?",
        "What do I do to cancel my subscription?",
        "How is a subscription cancelled?",
    ),
}
# None to which the simulator has something of its own to say, as it has to "hello".
_OPENINGS: Final = (
    "",
    "Please tell me: ",
    "Excuse me, ",
    "One question: ",
    "Quick question: ",
    "My question: ",
    "Sorry, ",
    "Just asking: ",
)
_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Something a customer asks."""

    text: str
    answer: str
    """What a right answer contains."""


SYSTEM_PROMPT: Final = "\n".join((_INTRODUCTION, *(f"{answer}." for answer in _TOPICS)))


def inquiries() -> list[Inquiry]:
    """Two hundred questions about five things, no two worded alike, in an order that is the same every time."""
    asked = [
        Inquiry(opening + question, answer)
        for opening, (answer, questions) in itertools.product(_OPENINGS, _TOPICS.items())
        for question in questions
    ]
    rng = new_rng(_SEED)
    return sorted(asked, key=lambda _: rng.random())
