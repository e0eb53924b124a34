"""What the caller hears of one attempt: words as they come, tool calls once they are whole, seams told.

An attempt that goes on with a broken answer is held back until it is clear how it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from ..events import Seam, Started
from ..types import Delta, ToolCallPart
from .joint import Joint

Way = Literal["fresh", "prefill", "echo", "calls", "restart"]
"""How an attempt takes up what the caller was shown: there was nothing; as the beginning of its own turn;
asked to repeat the last words; for its tool calls alone; not at all."""


class Uptake(Struct, frozen=True, kw_only=True):
    """What an attempt has to take up."""

    way: Way = "fresh"
    said: str = ""
    """The text that was shown."""
    echo: str = ""
    """Its last words, where the attempt is asked to repeat them."""
    spent: int = 0
    """About how many tokens of the answer are written already."""
    model: str = ""
    """Who wrote it."""
    why: str = ""
    """The code of the fault that broke it."""

    @property
    def goes_on(self) -> bool:
        """Whether what was shown stays."""
        return self.way in ("prefill", "echo", "calls")


FRESH = Uptake()


class Voice:
    """One attempt's part of what the caller hears."""

    def __init__(
        self,
        uptake: Uptake,
        model: str,
        attempt: int,
        *,
        first: bool,
        stream_tools: bool,
        can_erase: bool = True,
    ) -> None:
        """`first`: nothing has been shown yet in this request."""
        self.uptake = uptake
        self._words: list[str] = []
        self.seam: Seam | None = None
        """Told, once it is clear."""
        self.refused = False
        """Whether its words do not fit the ones that were shown."""
        self.shift = 0
        """By how much its places in the text are further behind in the answer's: sources are told by place."""
        self._model, self._attempt = model, attempt
        self._started = Started(model=model, attempt=attempt) if first else None
        self._stream_tools = stream_tools
        self._can_erase = can_erase
        self._calls: list[ToolCallPart] = []
        self._held: list[Delta] = []
        is_joined = uptake.way in ("prefill", "echo")
        self._joint = Joint(uptake.said, uptake.echo) if is_joined else None
        self._came = 0
        self._pass = self._ways[uptake.way]

    def started_with(self, headers: tuple[tuple[str, str], ...]) -> None:
        """What the upstream's headers told goes along with the answer's beginning."""
        if self._started is not None:
            self._started = replace(self._started, headers=headers)

    def say(self, deltas: list[Delta]) -> list[Delta]:
        """What an attempt brought → what is shown of it now."""
        if not self._stream_tools:
            for delta in deltas:
                if delta.tool_calls:
                    deltas = self._without_calls(deltas)
                    break
        return self._pass(self, deltas)

    def end(self) -> list[Delta]:
        """The attempt is whole → what is still to be shown. `refused` may become true."""
        out = self._end_of_joint() if self._joint is not None and self.seam is None else []
        if self.refused:
            return []
        if self.uptake.way == "calls" and self.seam is None:
            out = self._end_of_calls()
        if self._calls:
            calls = [Delta(tool_calls=tuple(self._calls))]
            self._calls = []
            # They may be all that there is of an answer that begins anew.
            out += self._anew(calls) if self.uptake.way == "restart" else self._begun(calls)
        return out

    def late(self, content: Delta) -> list[Delta]:
        """An answer that was held back as a whole → what is shown of it."""
        return [*self.say([content]), *self.end()]

    # -- the ways --------------------------------------------------------------------------------

    def _fresh(self, deltas: list[Delta]) -> list[Delta]:
        if self._started is None or not deltas:
            return deltas
        return self._begun(deltas)

    def _anew(self, deltas: list[Delta]) -> list[Delta]:
        """A restart is told with its first word: until then what was shown may stay."""
        if self.seam is not None or not deltas:
            return deltas
        return [self._tell("restart"), *deltas]

    def _joined(self, deltas: list[Delta]) -> list[Delta]:
        joint = self._joint
        if joint is None or self.refused:
            return []
        if self.seam is not None:
            self._words += [delta.text for delta in deltas]
            return self._placed(deltas)
        words = ""
        for delta in deltas:
            self._came += len(delta.text)
            words += joint.feed(delta.text) if delta.text else ""
            rest = replace(delta, text="") if delta.text else delta
            if rest != _NOTHING:
                self._held.append(rest)
        return self._decided(joint, words)

    def _for_calls(self, deltas: list[Delta]) -> list[Delta]:
        """Until it is clear that there are calls, nothing is shown: words alone would be another answer."""
        self._held += deltas
        return []

    _ways: ClassVar[dict[Way, Callable[[Any, list[Delta]], list[Delta]]]] = {
        "fresh": _fresh,
        "prefill": _joined,
        "echo": _joined,
        "calls": _for_calls,
        "restart": _anew,
    }

    # -- the details -----------------------------------------------------------------------------

    def _decided(self, joint: Joint, words: str) -> list[Delta]:
        if joint.verdict == "open":
            return []
        if joint.verdict == "refused":
            self.refused = True
            return []
        self._words.append(words)
        self.shift = len(self.uptake.said) + len(words) - self._came
        told = [self._tell(joint.verdict), *self._placed(self._held)]
        self._held = []
        return [*told, Delta(text=words)] if words else told

    def _end_of_joint(self) -> list[Delta]:
        joint = self._joint
        if joint is None or self.refused:
            return []
        words = joint.end()
        if joint.verdict == "refused" and self._calls and not words:
            # It had no more to say, and calls its tools: what was said stays as it is.
            joint.verdict = "unproven"
        return self._decided(joint, words)

    def _end_of_calls(self) -> list[Delta]:
        """With calls the words that were shown stay; words alone are an answer of their own."""
        held, self._held = self._held, []
        if self._calls:
            kept = [Delta(reasoning_details=d.reasoning_details) for d in held if d.reasoning_details]
            return [self._tell("unproven"), *kept]
        if not self._can_erase:
            self.refused = True
            return []
        return [self._tell("restart"), *held]

    def _tell(self, kind: Literal["proven", "unproven", "restart"]) -> Delta:
        uptake = self.uptake
        self.seam = Seam(
            kind=kind,
            from_model=uptake.model,
            to_model=self._model,
            why=uptake.why,
            attempt=self._attempt,
            after=len(uptake.said),
            erase=len(uptake.said) if kind == "restart" else 0,
        )
        return Delta(event=self.seam)

    def _placed(self, deltas: list[Delta]) -> list[Delta]:
        return [
            replace(delta, annotations=placed(delta.annotations, self.shift)) if delta.annotations else delta
            for delta in deltas
        ]

    def _begun(self, deltas: list[Delta]) -> list[Delta]:
        """The first that is shown of a request tells that it has begun."""
        started, self._started = self._started, None
        return deltas if started is None else [replace(deltas[0], event=started), *deltas[1:]]

    def _without_calls(self, deltas: list[Delta]) -> list[Delta]:
        left = []
        for delta in deltas:
            if delta.tool_calls:
                self._calls += delta.tool_calls
                delta = replace(delta, tool_calls=())
            if delta != _NOTHING:
                left.append(delta)
        return left

    @property
    def text(self) -> str:
        """The words that were shown of it; kept only where it takes up others'."""
        return "".join(self._words)

    @property
    def has_calls(self) -> bool:
        """Whether tool calls have come and are held back."""
        return bool(self._calls)


def placed(annotations: Iterable[dict[str, Any]], shift: int) -> tuple[dict[str, Any], ...]:
    """Sources with their places in the text moved: `start_index` and `end_index`, wherever they stand."""
    return tuple(_moved(note, shift) for note in annotations)


def _moved(note: dict[str, Any], shift: int) -> dict[str, Any]:
    moved = dict(note)
    for key, value in note.items():
        if isinstance(value, dict):
            moved[key] = _moved(value, shift)
        elif key in ("start_index", "end_index") and isinstance(value, int):
            moved[key] = value + shift
    return moved


_NOTHING = Delta()
