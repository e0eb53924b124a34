"""What one case of the decision table is (wire reference, section 7), the ways in which an upstream can fail, and how
a case is played in virtual time. The cases stand in `decision_rows`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from bytedeck import pipeline
from bytedeck.call.steps import Start
from bytedeck.config import Config, load
from bytedeck.errors import ByteError
from bytedeck.health import Health
from bytedeck.pipeline import Deck
from bytedeck.types import Ask, Intent, Policy
from continuers import ASKED, MANNERS, Wanted, delta, sse, stream, wanted
from world import Act, World

SAID = "The harbour is quiet tonight. All the boats sleep "
TEXT = SAID + "at their moorings, and so do we."
NOW = 1_800_000_000
"""The world's own clock, seconds since 1970."""

COMMENT = b": OPENROUTER PROCESSING\n\n"
HEAD = delta({"role": "assistant", "content": ""}, id="gen-1", model="served/1")
WORDS = HEAD + b"".join(delta({"content": word + " "}) for word in SAID.split())
THOUGHT = HEAD + delta({"content": "", "reasoning": "Where are the boats?"})
DONE = b"data: [DONE]\n\n"
WELL = Act((stream(TEXT),))

BACKOFF = ((0.0, 0.5), (0.0, 1.0))
"""Full jitter under 0.5 s · 2ⁿ: least and most seconds before the first and the second repeat."""


class Case(NamedTuple):
    """One thing that goes wrong, and what has to follow."""

    row: str
    phase: Literal["before", "after"]
    """Of the first token."""
    what: str
    acts: tuple[Act, ...]
    """What A does, attempt by attempt; the last one for ever."""
    goes: str
    """Who is asked, and with which outcome: what stands in the attempts and in the ledger."""
    error: str = ""
    """The code; "": TEXT comes whole."""
    waits: tuple[tuple[float, float], ...] = ()
    """Least and most seconds of each pause between two attempts."""
    silence: float = 0.0
    """Seconds waited for the wire."""
    seam: str = ""
    """The kind of the seam that is told; of several, each."""
    unseen: str = ""
    """`goes` for who does not stream, where that is another: nothing was shown, so it counts as before the first token (decision 4)."""
    unseen_waits: tuple[tuple[float, float], ...] = ()
    changed: Mapping[str, Any] = {}
    """What A is sent otherwise the second time; None: no more. Else every request is the same but for its model."""
    ask: Mapping[str, Any] = {}
    chain: str = "ABC"
    all_alike: bool = False
    """Whether B and C do what A does."""
    tells: Mapping[str, Any] = {}
    """Fields of the error; of the reply, where there is none."""
    apart: str = ""
    """Why this is not what the table says."""

    @property
    def name(self) -> str:
        return f"{self.row} {self.phase}: {self.what}"


# -- what an upstream does -------------------------------------------------------------------------


def refusal(status: int, message: str = "x", headers: Mapping[str, str] | None = None, **error: Any) -> Act:
    """A status that is not 200, with OpenRouter's envelope."""
    body = json.dumps({"error": {"code": status, "message": message, **error}}).encode()
    return Act((body,), status=status, headers={"content-type": "application/json", **(headers or {})})


def page(status: int) -> Act:
    """What the edge in front of OpenRouter says: HTML."""
    body = b"<html><body><h1>Bad gateway</h1></body></html>"
    return Act((body,), status=status, headers={"content-type": "text/html"})


def body(**found: Any) -> Act:
    """A 200 that is no stream."""
    return Act((json.dumps(found).encode(),), headers={"content-type": "application/json"})


def failed(code: object, message: str = "x", shape: str = "F1", **error: Any) -> bytes:
    """The event of a failure in the stream, in one of the shapes of section 5.4."""
    found = {"code": code, "message": message, **error}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    return {
        "F1": sse({"id": "gen-1", "error": found, "choices": [choice]}),
        "F2": sse({"error": found, "user_id": "user_1"}),
        "F3": sse({"id": "gen-1", "error": found, "choices": []}),
        "F4": sse({"choices": [{**choice, "native_finish_reason": "MALFORMED_FUNCTION_CALL"}]}),
    }[shape]


def before(tail: bytes = b"", end: str = "end", **act: Any) -> Act:
    """Headers, comments and a chunk without a word, and then this."""
    return Act((COMMENT + HEAD, COMMENT, *([tail] if tail else [])), end, **act)


def after(tail: bytes = b"", end: str = "end", **act: Any) -> Act:
    """Some words, and then this."""
    return Act((WORDS + tail,), end, **act)


def kind(error_type: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"error_type": error_type, **more}}


def available(code: str, **more: Any) -> dict[str, Any]:
    return {"availability": {"code": code, "retryable": False, "requested_models": [], **more}}


def finish(reason: str | None, completion: int = 0, reasoning: int = 0) -> bytes:
    """The finish chunk, usage and [DONE]."""
    details = {"reasoning_tokens": reasoning}
    usage = {"prompt_tokens": 7, "completion_tokens": completion, "completion_tokens_details": details}
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    return sse({"choices": [choice]}) + sse({"choices": [], "usage": usage}) + DONE


# -- playing it -------------------------------------------------------------------------------------

LETTERS = "ABCDEFG"
CHAIN = {"A": "maker/one", "B": "maker/two", "C": "maker/three"}
CONFIG = load({"OPENROUTER_API_KEY": "sk-or-v1-test", "BYTE_HOME": "/nonexistent"})


def deck(config: Config = CONFIG, health: Health | None = None) -> Deck:
    return Deck(
        config=config,
        catalog=None,
        has_key=True,
        has_local=False,
        local_reason="",
        clean=str,
        utc_minutes=0,
        health=health or Health(),
    )


class Models(World):
    """Each model does what it is told, attempt by attempt; who answers well goes on with what is there."""

    def __init__(self, acts: Mapping[str, tuple[Act, ...]], refuse: Mapping[int, str] | None = None) -> None:
        super().__init__(WELL, refuse=refuse)
        self.told = {model: list(own) for model, own in acts.items()}

    def _act(self, intent: Intent) -> Act:
        own = self.told.get(intent.model, [WELL])
        return own.pop(0) if len(own) > 1 else own[0]

    def _do(self, command: Any) -> Any:
        answer = super()._do(command)
        if isinstance(command, Start) and self.legs[command.leg].act is WELL:
            self.legs[command.leg].left = [_well(json.loads(command.request.body))]
        return answer


def _well(body: Mapping[str, Any]) -> bytes:
    want = want_of(body)
    return stream(TEXT if want.way == "fresh" else MANNERS["echo"](TEXT, want))


def want_of(body: Mapping[str, Any]) -> Wanted:
    """Whether the words so far are taken up; they stand behind the caller's own messages."""
    messages = body["messages"]
    place = next((at for at, one in enumerate(messages) if one["content"] == SAID.rstrip()), len(messages))
    return wanted({"messages": [*ASKED, *messages[place:]]})


class Played:
    """One request, played."""

    def __init__(self, bad: Mapping[str, tuple[Act, ...]], ask: Mapping[str, Any], known: Deck) -> None:
        """`bad`: letters of models → what they do, attempt by attempt; the last one for ever. `ask`: fields of the Ask."""
        asked = Ask(**{"id": "0123456789abcdef" * 2, "messages": ASKED, **ask})
        self.models = [one.model for one in pipeline.plan(asked, known).candidates]
        letters = dict(zip(LETTERS, self.models, strict=False))
        self.world = Models({letters[one]: acts for one, acts in bad.items() if one in letters})
        self.error: ByteError | None = None
        try:
            self.reply = self.world.run(pipeline.answer(asked, known, self.world.now))
        except ByteError as error:
            assert error.reply is not None
            self.error, self.reply = error, error.reply

    @property
    def goes(self) -> str:
        letters = dict(zip(self.models, LETTERS, strict=False))
        return ", ".join(f"{letters[one.model]} {one.outcome}" for one in self.reply.attempts)

    @property
    def code(self) -> str:
        return "" if self.error is None else self.error.code

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.world.requests]


def play(case: Case, *, streamed: bool) -> Played:
    """One case of the table."""
    ask = {"models": tuple(CHAIN[one] for one in case.chain), "streamed": streamed, **case.ask}
    policy = Policy(compact=ask.pop("compact", None), failover=ask.pop("failover", None))
    bad = dict.fromkeys("ABC" if case.all_alike else "A", case.acts)
    return Played(bad, {"policy": policy, **ask}, deck())
