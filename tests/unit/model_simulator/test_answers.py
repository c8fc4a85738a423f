import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_simulator.answers import LABEL, answer
from services.model_simulator.completion import split
from tests.unit.model_simulator.builders import prompt

texts = st.text(max_size=300)
conversations = st.lists(texts, min_size=1, max_size=5).filter(lambda turns: len(turns) % 2 == 1)


@given(conversations, texts)
def test_any_prompt_gets_the_same_labelled_answer_twice(turns: list[str], system: str) -> None:
    first = answer(prompt(*turns, system=system))
    assert first == answer(prompt(*turns, system=system))
    assert first.startswith(LABEL)
    assert len(split(first)) > 5


def test_answers_do_not_depend_on_the_process() -> None:
    program = (
        "from tests.unit.model_simulator.builders import prompt\n"
        "from services.model_simulator.answers import answer\n"
        "print(answer(prompt('I grow plums and pears.', 'ok', 'What do I grow, plums or pears?')))\n"
        "print(answer(prompt('Explain the difference between TCP and UDP')))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert b"plums" in outputs[0]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (("My name is Ada and I live in Paris.", "Hello Ada.", "What is my name?"), "your name is Ada."),
        (("I'm Grace Hopper.", "Hello.", "Who am I?"), "your name is Grace Hopper."),
        (("My name is Ada.", "Hi.", "No, my name is Bea.", "Hi.", "What's my name?"), "your name is Bea."),
        (("My name is Ada and I live in Paris.", "Hello.", "Where do I live?"), "you live in Paris"),
        (("My favourite colour is blue.", "Noted.", "what is my favorite color?"), "is blue."),
        (("My dog is called Rex. I am tired.", "Oh.", "What did I say about my dog?"), "your dog is called Rex"),
        (("I\u2019m allergic to nuts.", "Noted.", "What am I allergic to?"), "you are allergic to nuts"),
        (("Good morning!", "Hello.", "What did I just say?"), "“Good morning!”"),
        (("What is my name?",), "have not told me your name"),
        (("What did I say about elephants?",), "nothing about elephants"),
        (("The parcel ships on Friday.", "Fine.", "When does the parcel ship?"), "ships on Friday"),
    ],
)
def test_recalls_what_the_user_said(turns: tuple[str, ...], expected: str) -> None:
    assert expected in answer(prompt(*turns))


@pytest.mark.parametrize(
    ("system", "question", "expected"),
    [
        ("Summary so far: The user's name is Ada. She likes tea.", "What is my name?", "your name is Ada."),
        ("Earlier messages:\nuser: I live in Paris.\nassistant: Lovely.", "Where do I live?", "you live in Paris"),
        ("Be brief.\n- The warranty lasts two years.", "How long does the warranty last?", "warranty lasts two years"),
    ],
)
def test_recalls_what_the_system_prompt_says(system: str, question: str, expected: str) -> None:
    assert expected in answer(prompt(question, system=system))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 17 * 4?", "17 * 4 = 68."),
        ("what's 2 plus 3 times 4", "2 + 3 * 4 = 14."),
        ("Calculate (1 + 2) / 4 please", "(1 + 2) / 4 = 0.75."),
        ("1,200 - 200", "1200 - 200 = 1000."),
        ("How much is 3 / 0?", "divides by zero"),
    ],
)
def test_does_sums(question: str, expected: str) -> None:
    assert expected in answer(prompt(question))


@pytest.mark.parametrize("question", ["The meeting is on 2026-11-05.", "Call 555-1234 for help", "What is new?"])
def test_does_not_take_other_numbers_for_sums(question: str) -> None:
    assert " = " not in answer(prompt(question))


def test_summaries_keep_what_users_say_of_themselves_and_nothing_else() -> None:
    transcript = (
        "Summarize this conversation:\nuser: What is the weather like?\nassistant: I cannot know.\n"
        "user: My name is Ada and I have a red bicycle.\nassistant: (simulated answer) Thank you."
    )
    assert answer(prompt(transcript)) == f"{LABEL} My name is Ada and I have a red bicycle."


def test_a_system_prompt_can_order_a_summary() -> None:
    said = answer(prompt("The tower is 300 m tall. It stands in Paris.", system="You summarize texts in a sentence."))
    assert said == f"{LABEL} The tower is 300 m tall. It stands in Paris."


def test_a_conversation_so_far_can_be_summarised() -> None:
    said = answer(prompt("I sell plums in Lyon.", "I see.", "Summarise our conversation"))
    assert said == f"{LABEL} I sell plums in Lyon."


def test_explaining_and_listing_restate_the_subject() -> None:
    assert "load balancing" in answer(prompt("Can you explain load balancing?"))
    listed = answer(prompt("List four uses of copper"))
    assert "4 points on uses of copper" in listed
    assert "4." in listed


@pytest.mark.parametrize(
    "question", ["Hello!", "What is the capital of France?", "Explain TCP", "My cat is ill.", "Write a poem on rain"]
)
def test_ordinary_answers_have_a_realistic_length(question: str) -> None:
    assert 35 <= len(split(answer(prompt(question)))) <= 85


def test_models_word_their_answers_differently() -> None:
    models = ("claude-haiku-4-5", "claude-opus-5", "claude-sonnet-5", "claude-fable-5-1")
    assert len({answer(prompt("What is the capital of France?", model=model)) for model in models}) > 1
