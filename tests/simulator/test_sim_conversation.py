"""What the simulator reads from a conversation: whether a broken answer is to be gone on with, and how."""

from __future__ import annotations

from typing import Any

import pytest

from bytedeck.simulator.words import conversation
from said import assistant, user

ASK = user("Tell me of the harbour")
PARTIAL = "The quiet river follows the lantern, and the kettle measures it "
GO_ON = "Your answer was cut off. Begin by repeating verbatim the last words and then go on."


@pytest.mark.parametrize(
    ("request_text", "echo"),
    [
        (GO_ON, "river follows the lantern, and the kettle measures it "[len("river ") :]),
        ("Please continue. Repeat the last three words first.", "kettle measures it "),
        ("Continue where you stopped; start with the last 5 words verbatim.", "and the kettle measures it "),
        ("Go on. Repeat the last 9 characters first.", "asures it "[1:]),
        ('Continue. Start by repeating "the kettle measures it" word for word.', "the kettle measures it "),
        ("You were interrupted. Continue, and do not repeat anything.", ""),
        ("Continue without repeating what was said, start with the next word.", ""),
        ("Keep going.", ""),
    ],
)
def test_a_turn_that_asks_to_go_on_may_ask_for_an_echo(request_text: str, echo: str) -> None:
    """Of so many words, of so many characters, or of the words that it quotes."""
    turns = conversation.read([ASK, assistant(PARTIAL), user(request_text)])
    assert (turns.partial, turns.echo, turns.prefilled) == (PARTIAL, echo, False)
    assert turns.key == conversation.read([ASK]).key


def test_an_assistant_turn_at_the_end_is_gone_on_with() -> None:
    """That is a prefill; nobody can ask for an echo there."""
    turns = conversation.read([ASK, assistant(PARTIAL)])
    assert (turns.partial, turns.echo, turns.prefilled) == (PARTIAL, "", True)


def test_parts_of_an_answer_are_joined_once() -> None:
    """Where the second part begins with the echo of the first, that is told once."""
    second = "the kettle measures it back. Nobody was surprised"
    turns = conversation.read([ASK, assistant(PARTIAL), user(GO_ON), assistant(second), user(GO_ON)])
    assert turns.partial == PARTIAL.removesuffix("the kettle measures it ") + second
    assert turns.echo.endswith("surprised")


TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FRESH: dict[str, list[dict[str, Any]]] = {
    "a first question": [ASK],
    "a second question": [ASK, assistant("Whole."), user("And the lighthouse?")],
    "go on, to nobody": [user("Please continue")],
    "go on, after two questions": [ASK, user("Please continue")],
    "a long text that says continue": [ASK, assistant("Whole."), user("continue " * 1_000)],
    "after a tool": [
        ASK,
        {"role": "assistant", "content": "x", "tool_calls": [TOOL_CALL]},
        {"role": "tool", "content": "4"},
    ],
    "an empty assistant turn": [ASK, assistant("")],
    "nothing": [],
}


@pytest.mark.parametrize("name", FRESH)
def test_everything_else_is_a_fresh_question(name: str) -> None:
    """No partial answer is seen where there is none."""
    assert conversation.read(FRESH[name]).partial is None


def test_the_key_follows_the_users_turns_and_tools_only() -> None:
    """What the assistant and the system said does not change the text to come; what a tool said does."""
    key = conversation.read([ASK, assistant("a"), user("And?")]).key
    assert (
        key == conversation.read([{"role": "system", "content": "s"}, ASK, assistant("b"), user("And?")]).key
    )
    assert key != conversation.read([ASK, user("And then?")]).key
    result = {"role": "tool", "tool_call_id": "1", "content": "4"}
    assert conversation.read([ASK, result]).key != conversation.read([ASK, result | {"content": "5"}]).key


def test_directives_are_taken_from_the_last_own_turn() -> None:
    """A request to go on is none, and does not hide them."""
    turns = conversation.read([user("[[sim: words=3]]"), assistant("One"), user(GO_ON)])
    assert turns.asked.words == 3
    assert (
        conversation.read([user("[[sim: words=3]]"), assistant("One two."), user("And?")]).asked.words is None
    )


@pytest.mark.parametrize(
    ("text", "number", "tail"),
    [("a b  c ", 2, "b  c "), ("a", 5, "a"), ("", 2, ""), (" ", 2, ""), ("a b", 0, "")],
)
def test_the_last_words_keep_their_blanks(text: str, number: int, tail: str) -> None:
    """So that the rest can be joined to them."""
    assert conversation.tail(text, number) == tail
