"""Fighter, as people use it: who argues in a debate, and one who argues alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, overload

from .arena import types
from .arena.events import TurnBegan, TurnEnded
from .arena.match import script
from .arena.match.referee import Referee, Speak
from .arena.types import Match, Persona, Rules, Turn
from .debates.making import MOST_TOKENS, fighter, infos, topic_of, whole

if TYPE_CHECKING:
    from .async_client import AsyncHub
    from .client import Hub
    from .streams import AsyncStream, Stream

_OWN, _OTHER = 0, 1
_OPENING = Speak(Turn(0, 0, _OWN), "opening")
_REBUTTAL = Speak(Turn(0, 1, _OWN), "rebuttal")


class Fighter(types.Fighter, frozen=True):
    """Who argues: a model, what it stands for, whom it plays, and models that go on for it when its own fails."""

    @overload
    def argue(
        self, topic: str, *, hub: Hub | None = None, against: str = "", max_tokens: int = 500
    ) -> Stream: ...

    @overload
    def argue(
        self, topic: str, *, hub: AsyncHub, against: str = "", max_tokens: int = 500
    ) -> AsyncStream: ...

    def argue(
        self, topic: str, *, hub: Hub | AsyncHub | None = None, against: str = "", max_tokens: int = 500
    ) -> Stream | AsyncStream:
        """One argument, streamed while it is written: as `hub.stream`, which tells arguments and errors.

        `hub`: the shared one where none is given; an AsyncHub gives an AsyncStream. `against`: what somebody else has said,
        to be answered. Nothing is sent before the first iteration. Raises InvalidRequest.
        """
        if hub is None:
            from .shared import default_hub

            hub = default_hub()
        match = Match(
            id="",
            kind="debate",
            topic=topic_of("topic", topic, "Say what is to be argued about."),
            fighters=(fighter(0, self), types.Fighter("")),
            rules=Rules(max_tokens=whole("max_tokens", max_tokens, 1, MOST_TOKENS)),
            seed=random.getrandbits(63),
        )
        referee = Referee(match)
        if against.strip():
            heard = Turn(0, 0, _OTHER)
            referee.hear(TurnBegan(turn=heard, phase="opening", request=""))
            referee.hear(TurnEnded(turn=heard, request="", text=against, model=""))
        step = _REBUTTAL if against.strip() else _OPENING
        call = script.call(referee, step, infos(hub.house, match))
        return hub.stream(call.messages, task=call.task, model=call.models, **call.params)


__all__ = ["Fighter", "Persona"]
