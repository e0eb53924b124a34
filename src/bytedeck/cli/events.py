"""What happens to an answer while a person waits for it, on stderr: thinking, waiting, falling back, going on."""

from __future__ import annotations

from ..events import Event, FellBack, Seam, Started, Waiting
from ..types import Delta
from . import tell


class News:
    """Told at once while nothing of the answer stands; later it would stand in the middle of it, so it waits."""

    def __init__(self) -> None:
        self._kept: list[Event] = []
        self._has_words = False
        self._has_thought = False
        self._waits = ""
        """The model that waits for money, which was told."""

    def hear(self, delta: Delta) -> bool:
        """Take note of a delta; whether it voids what was shown, so that the answer begins anew."""
        if delta.reasoning and not (self._has_thought or self._has_words):
            self._has_thought = True
            tell.say("… thinking", dim=True)
        if delta.event is not None:
            self._keep(delta.event)
        is_void = isinstance(delta.event, Seam) and delta.event.kind == "restart" and self._has_words
        if not self._has_words:
            self.tell()
        self._has_words = bool(delta.text) or (self._has_words and not is_void)
        return is_void

    def _keep(self, event: Event) -> None:
        """To be told. A seam tells by itself from whom to whom it goes; who waits for money looks once a second."""
        if isinstance(event, Waiting) and event.why == "budget_held":
            if event.model == self._waits:
                return
            self._waits = event.model
        if isinstance(event, Seam) and self._kept:
            last = self._kept[-1]
            way = event.from_model, event.to_model
            if isinstance(last, FellBack) and (last.from_model, last.to_model) == way:
                self._kept.pop()
        self._kept.append(event)

    def tell(self) -> None:
        """Say what was kept: the answer is over, or begins anew."""
        for event in self._kept:
            if line := _line(event):
                tell.say(line, dim=True)
        self._kept = []


def _line(event: Event) -> str:
    match event:
        case Started():
            return ""
        case Waiting(model=model, why=why, seconds=seconds):
            return f"… {model} {waits(why, seconds) or f'{_reason(why)}; asked again in {seconds:.0f} s'}"
        case FellBack(from_model=one, to_model=other, why=why):
            return f"▸ {one} {_reason(why)}; {other} is asked"
    return _seam(event)


def waits(code: str, seconds: float) -> str:
    """What an attempt waits for that a limit or a budget keeps back; "" for all other waits."""
    if code == "over_limit":
        return f"waits for one of your limits, {seconds:.0f} s"
    return "waits for money that running requests hold of a budget" if code == "budget_held" else ""


def _seam(seam: Seam) -> str:
    if seam.kind == "restart" and not seam.erase:
        return ""
    who = "it" if seam.to_model == seam.from_model else seam.to_model
    how = _SEAMS[seam.kind].format(who=who)
    return f"▸ {seam.from_model} broke off after {seam.after} characters ({_words(seam.why)}); {how}"


_SEAMS = {
    "proven": "{who} went on, with no character lost or said twice",
    "unproven": "{who} went on, but a character may be lost or said twice there",
    "restart": "{who} begins anew, and the words before are void",
}


def _reason(code: str) -> str:
    """A fault's code as words in a sentence: `failed (rate limited)`."""
    return "could not go on with the words" if code == "seam_refused" else f"failed ({_words(code)})"


def _words(code: str) -> str:
    return code.replace("_", " ")
