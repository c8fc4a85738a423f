from libs.cli.demo.help_desk import SYSTEM_PROMPT, inquiries
from services.model_simulator.answers import answer
from services.model_simulator.call import Prompt, Turn


def test_no_two_customers_say_the_same() -> None:
    asked = [inquiry.text for inquiry in inquiries()]
    assert len(set(asked)) == len(asked) == 200


def test_the_simulator_answers_every_wording_rightly_and_alike() -> None:
    """What the demo shows depends on it: unequal answers to equal questions teach the cache to be careful."""
    said: dict[str, set[str]] = {}
    for inquiry in inquiries():
        text = answer(Prompt("any", SYSTEM_PROMPT, (Turn("user", inquiry.text),)))
        assert inquiry.answer in text, inquiry.text
        said.setdefault(inquiry.answer, set()).add(text)
    assert [len(texts) for texts in said.values()] == [1] * 5
