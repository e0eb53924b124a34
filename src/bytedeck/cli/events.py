"""What happens to an answer while a person waits for it, on stderr: thinking, waiting, falling back, going on."""

from __future__ import annotations

from ..events import Event, FellBack, Seam, Started, Waiting
from ..types import Delta
from . import tell


class News:
    """Told at once while nothing of the answer stands; later it would stand in the middle of it, so it waits."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._has_words = False
        self._has_thought = False

    def hear(self, delta: Delta) -> bool:
        """Take note of a delta; whether it voids what was shown, so that the answer begins anew."""
        if delta.reasoning and not (self._has_thought or self._has_words):
            self._has_thought = True
            tell.say("… thinking", dim=True)
        if delta.event is not None and (line := _line(delta.event)):
            self._kept.append(line)
        is_void = isinstance(delta.event, Seam) and delta.event.kind == "restart" and self._has_words
        if not self._has_words:
            self.tell()
        self._has_words = bool(delta.text) or (self._has_words and not is_void)
        return is_void

    def tell(self) -> None:
        """Say what was kept: the answer is over, or begins anew."""
        for line in self._kept:
            tell.say(line, dim=True)
        self._kept = []


def _line(event: Event) -> str:
    match event:
        case Started():
            return ""
        case Waiting(model=model, why=why, seconds=seconds):
            return f"… {model} {_reason(why)}: waiting {seconds:.0f} s"
        case FellBack(from_model=one, to_model=other, why=why):
            return f"▸ {one} {_reason(why)}; {other} is asked"
    return _seam(event)


def _seam(seam: Seam) -> str:
    if seam.kind == "restart":
        return f"▸ {seam.to_model} begins anew; the words before are void" if seam.erase else ""
    how = (
        "no character lost or said twice"
        if seam.kind == "proven"
        else "whether every character fits is not proven"
    )
    return f"▸ after {seam.after} characters {seam.to_model} went on: {how}"


def _reason(code: str) -> str:
    """A fault's code as words in a sentence: `failed (rate limited)`."""
    return f"failed ({code.replace('_', ' ')})"
