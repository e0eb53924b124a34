"""What the caller has been told over all attempts of a request, and how the next one takes it up.

Wire reference 7, rule C: go on with the words that were shown, by a prefill or an echo; where that
cannot be, begin anew and say so; where the caller cannot be told to take words back, fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ..events import Seam
from ..types import Ask, Candidate, Plan, Reply, Usage
from .attempt import Tried
from .joint import echo_of
from .voice import FRESH, Uptake, Voice, Way, placed

# A token of prose has some four letters; a letter of another script has more bytes.
_BYTES_A_TOKEN = 4


class Story:
    """What the caller has been told so far. Lives as long as the request."""

    def __init__(self, ask: Ask, plan: Plan) -> None:
        self.seams: list[Seam] = []
        self.text = ""
        """The words that stand."""
        self._ask, self._plan, self._policy = ask, plan, plan.policy
        self._told: list[Reply] = []
        """What the attempts brought that stand in the answer, broken off as they are."""
        self._has_begun = False
        self._by = self._why = ""
        self._has_calls = False
        self._refused: Candidate | None = None
        """The first that did not take the words up."""
        self._is_anew = False
        self._no_prefill: set[str] = set()

    @property
    def is_told(self) -> bool:
        """Whether the caller has been shown anything of an answer."""
        return bool(self._told)

    @property
    def may_go_on(self) -> bool:
        """Whether a broken answer may be taken up at all, in any way."""
        if not self._told:
            return True
        if self._policy.failover == "error":
            return False
        return self._may_erase or self._way_of(None) != "restart"

    def begin_anew(self) -> Candidate | None:
        """Give up going on with the words: who did not take them up begins anew. None: nobody, or not allowed."""
        if self._refused is None or self._is_anew or not self._may_erase:
            return None
        self._is_anew = True
        return self._refused

    def without_prefill(self, candidate: Candidate) -> bool:
        """It takes no assistant turn as the beginning of its answer; whether it was asked to here."""
        was_asked = self._way_of(candidate) == "prefill"
        self._no_prefill.add(candidate.model)
        return was_asked

    def uptake(self, candidate: Candidate) -> Uptake:
        """How an attempt at a candidate takes up what was told."""
        way = self._way_of(candidate)
        if way == "fresh":
            return FRESH
        return Uptake(
            way=way,
            said=self.text,
            echo=echo_of(self.text) if way == "echo" else "",
            spent=len(self.text.encode()) // _BYTES_A_TOKEN,  # thoughts are lost, and thought again
            model=self._by,
            why=self._why,
        )

    def voice(self, candidate: Candidate, attempt: int) -> Voice:
        """What the caller will hear of an attempt."""
        return Voice(
            self.uptake(candidate),
            candidate.model,
            attempt,
            first=not self._has_begun,
            stream_tools=bool(self._policy.stream_tools),
            can_erase=self._ask.can_erase,
        )

    def _way_of(self, candidate: Candidate | None) -> Way:
        if not self._told:
            return "fresh"
        if self._policy.failover == "restart" or self._is_anew or self._is_fixed(candidate):
            return "restart"
        if self._has_calls:
            return "calls"
        if candidate is not None and candidate.prefill and candidate.model not in self._no_prefill:
            return "prefill"
        return "echo"

    def _is_fixed(self, candidate: Candidate | None) -> bool:
        """Whether what was shown cannot be gone on with: no words, JSON, pictures, sound, each word's chance."""
        if not self.text.strip() or self._has_format():
            return True
        if candidate is not None and candidate.route == "local" and self._wish("tools"):
            return True  # it answers in a form of its own, whole (`local_shape`)
        return any(
            one.images
            or one.audio
            or one.refusal
            or one.logprobs
            or (self._policy.stream_tools and one.tool_calls)
            for one in self._told
        )

    @property
    def _may_erase(self) -> bool:
        """Whether an attempt may begin anew. Thoughts can always be thought again."""
        return self._ask.can_erase or not any(
            one.text
            or one.refusal
            or one.images
            or one.audio
            or (self._policy.stream_tools and one.tool_calls)
            for one in self._told
        )

    def _wish(self, name: str) -> object:
        return self._ask.params.get(name, self._plan.defaults.get(name))

    def _has_format(self) -> bool:
        wanted = self._wish("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") not in (None, "text")

    # -- what an attempt brought -----------------------------------------------------------------

    def broke(self, tried: Tried, candidate: Candidate) -> None:
        """An attempt failed: what the caller has heard of it stands."""
        voice, fault = tried.voice, tried.fault
        if voice is None or fault is None:
            return
        if voice.refused:
            self._refused = self._refused or candidate
        if tried.shown:
            self._stands(voice, tried.reply)
            self._by, self._why = candidate.model, fault.code
            self._has_calls = voice.has_calls

    def whole(self, voice: Voice, reply: Reply) -> Reply:
        """The whole answer, whose last attempt brought this."""
        if not self._told:
            return reply
        self._stands(voice, reply)
        return self.reply()

    def reply(self) -> Reply:
        """What stands of the answer. Its ids, names and end are those of the last attempt in it."""
        return replace(
            self._told[-1],
            text=self.text,
            reasoning="".join(one.reasoning for one in self._told),
            annotations=tuple(note for one in self._told for note in one.annotations),
            seams=tuple(self.seams),
        )

    def _stands(self, voice: Voice, reply: Reply) -> None:
        self._has_begun = True
        if voice.seam is not None:
            self.seams.append(voice.seam)
        if voice.seam is None or voice.seam.kind == "restart":
            self._told, self.text = [reply], reply.text
            return
        self.text += voice.text
        if voice.uptake.way == "calls":  # of it the calls alone were taken
            reply = replace(reply, reasoning="", annotations=())
        self._told.append(replace(reply, annotations=placed(reply.annotations, voice.shift)))


def total(usages: Sequence[Usage]) -> Usage | None:
    """What several attempts used together; None where none told. Costs that are not known are left out."""
    if len(usages) < 2:
        return usages[0] if usages else None
    counts = {
        name: sum(getattr(one, name) for one in usages)
        for name in Usage.__struct_fields__
        if name not in ("cost_units", "upstream_units", "is_byok", "cost_text")
    }
    known = [one.cost_units for one in usages if one.cost_units is not None]
    bills = [one.upstream_units or 0 for one in usages if one.is_byok]
    return Usage(
        **counts,
        cost_units=sum(known) if known else None,
        upstream_units=sum(bills) if bills else None,
        is_byok=bool(bills),
    )
