"""What the command line asks for, made into what the library takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from ..errors import InvalidRequest
from ..types import Failover, Policy
from . import conversation, prompt, tell
from .attach import attach
from .conversation import Conversation


class Given(Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    words: tuple[str, ...] = ()
    task: str = ""
    models: tuple[str, ...] = ()
    system: str = ""
    goes_on: bool = False
    attachments: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    usage: bool = False
    extract: bool = False
    json_: bool = False
    no_stream: bool = False
    no_save: bool = False
    max_cost: str | None = None
    timeout: float | None = None
    failover: Failover | None = None
    hedge: bool = False
    compact: bool = False
    explain: bool = False

    @property
    def streams(self) -> bool:
        """Whether the words are shown while they come."""
        return not (self.extract or self.json_ or self.no_stream)


class Question(Struct, frozen=True, kw_only=True):
    """One question, ready to be asked."""

    user: dict[str, Any]
    """The message, as the wire has it."""
    story: Conversation
    """What it belongs to: what was said before, and where the answer will be kept."""
    system: str
    task: str
    models: tuple[str, ...]
    given: Given

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything that has been said, the question last."""
        return [*self.story.messages, self.user]

    @property
    def arguments(self) -> dict[str, Any]:
        """For `Hub.chat` and its like, without the request's own fields."""
        return {
            "task": self.task,
            "model": self.models or "",
            "system": self.system,
            "timeout": self.given.timeout,
            "max_cost": self.given.max_cost,
            "policy": Policy(
                failover=self.given.failover,
                hedge=self.given.hedge or None,
                compact=self.given.compact or None,
            ),
        }


def compose(given: Given, home: Path) -> Question:
    """Read what is piped in, the attachments and, for -c, the last conversation. Raises InvalidRequest."""
    user = _message(given)
    story = (conversation.latest(home) if given.goes_on else None) or conversation.begin(home)
    last = story.last
    if given.goes_on and last is None:
        tell.note("there is no conversation to go on with; this one begins anew.")
    named = bool(given.task or given.models)
    return Question(
        user=user,
        story=story,
        system=given.system or (last.system if last else ""),
        # Who names a task or a model now means this one alone.
        task=given.task if named or last is None else last.task,
        models=given.models if named or last is None else last.models,
        given=given,
    )


def _message(given: Given) -> dict[str, Any]:
    fed = prompt.piped()
    takes_pipe = "-" in given.attachments
    text = prompt.joined(given.words, b"" if takes_pipe else fed)
    if not text.strip() and not given.attachments:
        raise InvalidRequest(
            "The prompt is empty.",
            hint=('Say what you want to know: byte "why is the sky blue?"', "All options: byte ask --help"),
        )
    if not given.attachments:
        return {"role": "user", "content": text}
    attached = [attach(source, fed) for source in given.attachments]
    # Texts first, then what belongs to them (wire reference, 3.1).
    parts = [one.part for one in attached if one.is_text]
    if text.strip():
        parts.append({"type": "text", "text": text})
    parts += [one.part for one in attached if not one.is_text]
    return {"role": "user", "content": parts}
