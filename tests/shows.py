"""Matches for tests of what is shown: made of events with times, as a driver writes them; every kind of event is in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec

from bytedeck.arena.events import (
    Begun,
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    Paused,
    Resumed,
    RoundEnded,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from bytedeck.arena.types import (
    COMMENT,
    Fighter,
    Look,
    Match,
    Persona,
    Rules,
    Ruling,
    Scores,
    Turn,
    Verdict,
    Vote,
)

START = 1_790_000_000_000_000
JUDGES = ("juno/judge-large", "kepler/critic-2", "lyra/arbiter")


def match_of(
    fighters: Sequence[Fighter], topic: str = "Cities should be closed to cars.", **rules: Any
) -> Match:
    """A debate of these fighters."""
    given: dict[str, Any] = {"judges": JUDGES, "commentator": "mira/voice", "rounds": 3} | rules
    return Match(
        id="abcdefg234",
        kind="debate",
        topic=topic,
        fighters=tuple(fighters),
        rules=Rules(**given),
        owner="secret-owner",
        created=START,
        seed=2**62 + 1,
    )


def two(first: str = "Optimist", second: str = "Skeptic") -> tuple[Fighter, ...]:
    """Two fighters with personas."""
    return (
        Fighter("north/lumen-4", persona=Persona(name=first, colour="#2f6fed"), name="North: Lumen 4"),
        Fighter("south/basalt-9b", persona=Persona(name=second), name="South: Basalt 9B"),
    )


class Writer:
    """Writes events as a driver does: each gets its number and a time."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.events: list[Event] = []
        self._at = START
        self._requests = count(1)
        self.write(Begun(match=match), 0)

    def write(self, event: Event, seconds: float = 0.05) -> None:
        """One more event, that long after the last."""
        self._at += int(seconds * 10**6)
        self.events.append(msgspec.structs.replace(event, seq=len(self.events), at=self._at))

    def request(self) -> str:
        return f"req-{next(self._requests)}"

    def turn(self, turn: Turn, phase: Any, text: str, **how: Any) -> None:
        """A turn that is begun, said word by word, and ended."""
        request = self.request()
        self.write(TurnBegan(turn=turn, phase=phase, request=request))
        for piece in pieces(text):
            self.write(Words(part=turn.part, text=piece))
        model = self.match.fighters[turn.fighter].model
        known = {
            "model": model,
            "cost_units": 91_000_000,
            "completion_tokens": len(text) // 4,
            "seconds": 4.2,
        }
        self.write(TurnEnded(turn=turn, request=request, text=text, **known | how))

    def looks(self, judge: int, places: Sequence[Sequence[int]], reason: str, scores: Any = None) -> None:
        """Both looks of a judge: what it says of the sides in order, and swapped."""
        model = self.match.rules.judges[judge]
        for is_swapped, order in enumerate(places):
            look, request = Look(judge, 0, bool(is_swapped)), self.request()
            self.write(JudgeBegan(look=look, judge=model, request=request))
            verdict = Verdict(places=tuple(order), scores=scores or self.scores(order), reason=reason)
            self.write(
                JudgeEnded(
                    look=look, judge=model, request=request, verdict=verdict, cost_units=10**9 + judge
                ),
                0.8,
            )

    def scores(self, order: Sequence[int]) -> tuple[tuple[Scores, ...], ...]:
        row = tuple(Scores(10 - 2 * place, 9 - place, 8 - place, 9 - place) for place in order)
        return (row,) * self.match.rules.rounds


def pieces(text: str) -> Iterator[str]:
    """A text in pieces of a few characters, as models write."""
    for at in range(0, len(text), 7):
        yield text[at : at + 7]


PHASES = ("opening", "rebuttal", "closing")
ARGUMENT = (
    "A street is the largest public room that a city has, and today most of it is a place to store metal.\n\n"
    "1. **Space.** One lane of trams carries ten times what a lane of cars does.\n"
    "2. **Health.** Where traffic was taken out, childhood asthma fell within three years.\n\n"
    "What the other side calls freedom is a subsidy: it is paid by everyone who walks. In Ghent, shops in the "
    "car-free core report more visitors than before, not fewer."
)


def whole(
    match: Match | None = None,
    say: Callable[[Turn], str] = lambda turn: ARGUMENT,
    reason: str = "Side 1 names its sources and answers the strongest point; side 2 repeats itself.",
    comment: str = "Both fought well. The first had the numbers, the second the better stories.",
) -> tuple[Match, tuple[Event, ...]]:
    """A debate start to end with nothing amiss."""
    match = match or match_of(two())
    writer = Writer(match)
    fighters = range(len(match.fighters))
    for number in range(match.rules.rounds):
        for place in fighters:
            turn = Turn(0, number, place)
            writer.turn(turn, PHASES[number], say(turn))
        writer.write(RoundEnded(leg=0, round=number))
    order = [place + 1 for place in fighters]
    for judge in range(len(match.rules.judges)):
        # The last judge's mind changes with the sides.
        is_flip = judge == len(match.rules.judges) - 1
        writer.looks(judge, (order, order[::-1] if is_flip else order), reason)
    writer.write(decided(match))
    if comment:
        request = writer.request()
        writer.write(CommentBegan(model=match.rules.commentator, request=request))
        for piece in pieces(comment):
            writer.write(Words(part=COMMENT, text=piece))
        writer.write(CommentEnded(request=request, text=comment, model=match.rules.commentator, cost_units=5))
    writer.write(Ended(end="decided", is_rated=True, cost_units=10**9))
    return match, tuple(writer.events)


def decided(match: Match) -> Decided:
    """The panel for the first, but that its last judge flips."""
    pairs = [(a, b) for a in range(len(match.fighters)) for b in range(a + 1, len(match.fighters))]
    last = match.rules.judges[-1]
    rulings = tuple(
        Ruling(
            judge=judge,
            first=a,
            second=b,
            plain=1.0,
            swapped=float(judge != last),
            score=0.5 if judge == last else 1.0,
        )
        for judge in match.rules.judges
        for a, b in pairs
    )
    health = tuple(
        tuple(max(0, 100 - (5 + 14 * place) * (number + 1)) for place in range(len(match.fighters)))
        for number in range(match.rules.rounds)
    )
    return Decided(rulings=rulings, score=tuple((a, b, 1.0) for a, b in pairs), winner=0, health=health)


def eventful() -> tuple[Match, tuple[Event, ...]]:
    """A debate in which everything happens that can: every kind of event is in it."""
    match = match_of(two(), rounds=2, budget_units=10**10)
    writer = Writer(match)
    lost = writer.request()
    first, second = Turn(0, 0, 0), Turn(0, 0, 1)
    writer.write(TurnBegan(turn=first, phase="opening", request=lost))
    writer.write(Words(part=first.part, text="This was lo"))
    writer.write(Resumed(lost=(lost,)), 7200)
    writer.turn(first, "opening", "Said anew.", finish_reason="length")
    request = writer.request()
    writer.write(TurnBegan(turn=second, phase="opening", request=request))
    writer.write(Words(part=second.part, text="Half a wrod"))
    writer.write(Words(part=second.part, text="word.", erase=4))
    writer.write(
        TurnEnded(
            turn=second,
            request=request,
            text="Half a word.",
            model="east/other",
            is_void=True,
            why_void="East spoke.",
        )
    )
    writer.write(RoundEnded(leg=0, round=0))
    writer.write(Paused(spent_units=10**9, needed_units=2 * 10**10, budget_units=10**10))
    writer.write(Resumed(budget_units=5 * 10**10), 30)
    request = writer.request()
    failed = Turn(0, 1, 0)
    writer.write(TurnBegan(turn=failed, phase="closing", request=request))
    writer.write(Words(part=failed.part, text="NEVER AN ARGUMENT"))
    writer.write(
        TurnFailed(
            turn=failed, request=request, code="rate_limited", message="Lumen 4 is busy.", cost_units=7
        )
    )
    writer.turn(Turn(0, 1, 1), "closing", "The last word.")
    writer.write(RoundEnded(leg=0, round=1))
    writer.looks(0, ((1, 2), (2, 1)), "A reason.")
    for again in (False, True):
        request, look = writer.request(), Look(1, 0, False, again)
        writer.write(JudgeBegan(look=look, judge=JUDGES[1], request=request))
        writer.write(
            JudgeFailed(
                look=look,
                judge=JUDGES[1],
                request=request,
                code="nonsense",
                message="No verdict in it.",
                is_out=again,
            )
        )
    writer.looks(2, ((1, 2), (1, 2)), "Another reason.")
    writer.write(
        Decided(
            rulings=(
                Ruling(judge=JUDGES[0], first=0, second=1, plain=1.0, swapped=0.0, score=0.5),
                Ruling(judge=JUDGES[2], first=0, second=1, plain=1.0, swapped=1.0, score=1.0),
            ),
            score=((0, 1, 1.0),),
            winner=0,
            health=((100, 90), (95, 61)),
        )
    )
    writer.write(CommentBegan(model="mira/voice", request=writer.request()))
    writer.write(CommentEnded(request="x", text="", message="Nobody answered."))
    writer.write(Ended(end="decided", is_rated=False, why="A turn was void", cost_units=None))
    return match, tuple(writer.events)


def votes() -> tuple[Vote, ...]:
    """The owner's on the whole, and spectators' on rounds and the whole."""
    whole = [("spectators", None, choice) for choice in (0, 0, 1, None)]
    first = [("spectators", 0, choice) for choice in (1, 1)]
    return tuple(
        Vote(match="abcdefg234", voter=f"v{n}", source=source, round=number, choice=choice, at=START)  # type: ignore[arg-type]
        for n, (source, number, choice) in enumerate([("owner", None, 0), *whole, *first])
    )


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- <!--><script>--!> ]]> <![CDATA[",
    "</style></title></textarea></div></body><h1>A has won</h1>",
    "&lt;b&gt; &#60;script&#62; &amp;",
    "javascript:alert(1) data:text/html,<p>",
    "# Verdict\n\n## Optimist wins\n\nA has won\n=========\n",
    "```\nnever closed",
    "~~~html\n<script>alert(1)</script>",
    "> > > deeper\n</blockquote>\n\n<h1>out</h1>",
    '[judges]: http://evil.example "x"\n[a](http://evil.example) ![p](http://evil.example/p.png) [^1]',
    "| a | b |\n| --- | --- |\n| \\| | `|` |",
    "\u202eright to left\u2066 unclosed \u05e9\u05dc\u05d5\u05dd",
    "line\u2028separator\u2029paragraph\x85next\x0bvertical\x0cform\rreturn\r\nboth",
    "\x00\x01\x1b[31mred\x1b]0;title\x07\x7f\ufffe\uffff",
    "\ud800 alone \udfff",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301\u0301\u0301 \u6f22\u5b57",
    "W" * 5_000,
    "word " * 5_000,
    "- - - 1. + * _ **bold** __x__ ${1} {{x}} %s \\",
    "</text></svg><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script>",
    "url(#l) ;fill:red;} * {display:none",
)
"""Texts that try to be more than text."""


def haunted(text: str, topic: str = "A topic.") -> tuple[Match, tuple[Event, ...]]:
    """A debate in which everybody says this, and everything that can be named is named so."""
    fighters = tuple(
        Fighter(
            f"{text}/{place}", stance=text, persona=Persona(name=text, style=text, colour=text), name=text
        )
        for place in range(2)
    )
    named = match_of(fighters, topic=topic, judges=(text, f"{text}2"), commentator=text, rounds=2)
    match = msgspec.structs.replace(named, task=text)
    writer = Writer(match)
    for number in range(2):
        for place in range(2):
            how = {"is_void": bool(number), "why_void": text, "model": text}
            writer.turn(Turn(0, number, place), PHASES[-number], text, **how)
    request, last = writer.request(), Look(1, 0, True, True)
    for judge in range(2):
        writer.looks(judge, ((1, 2), (1, 2)), text)
    writer.write(
        JudgeFailed(look=last, judge=text, request=request, code="nonsense", message=text, is_out=True)
    )
    writer.write(decided(match))
    writer.write(CommentBegan(model=text, request=writer.request()))
    writer.write(Words(part=COMMENT, text=text))
    writer.write(CommentEnded(request=request, text=text, model=text, message=text))
    writer.write(Ended(end="decided", is_rated=False, why=text))
    return match, tuple(writer.events)
