"""How a match looks: live on a terminal of any width, as text in a pipe, as lines for programs."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import msgspec
import pytest

pytest.importorskip("rich")

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bytedeck.arena.events import Ended, Event, RoundEnded, TurnBegan, TurnEnded, Words
from bytedeck.arena.types import Fighter, Match, Persona, Turn
from bytedeck.cli.bouts import scorecard, views
from bytedeck.cli.bouts.ring import Ring
from bytedeck.cli.bouts.scenes import Round, across, tail
from hostile_texts import TEXTS
from shows import ARGUMENT, Writer, eventful, match_of, two, whole

FOUR = tuple(Fighter(f"maker{n}/model-{n}", name=f"Model {n}") for n in range(4))
HOSTILE = "[red]x[/] \x1b]0;title\x07\x1b[2J\x9b31m\u202esdrawkcab\u2028end\ttab \ud800"


def shown(match: Match, events: Sequence[Event], width: int = 100, height: int = 30, **more: object) -> str:
    """All that a terminal gets, colours left out."""
    file = io.StringIO()
    console = Console(
        file=file, width=width, height=height, force_terminal=True, no_color=True, highlight=False
    )
    ring = Ring(match, console=console, **more)
    for event in events:
        ring.hear(event, past=True)
    ring.leave()
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_width(width: int, count: int) -> None:
    """No line is wider than the terminal, and every word of everybody stands there."""
    match, events = whole(
        match_of(FOUR[:count]), say=lambda turn: f"Say{turn.part.replace('.', '')} {ARGUMENT}"
    )
    found = shown(match, events, width)
    assert max(map(cell_len, found.splitlines())) <= width
    for number in range(3):
        for place in range(count):
            assert f"Sayt0{number}{place}" in found
    assert "The verdict" in found
    assert "The commentator" in found


@pytest.mark.parametrize(
    ("count", "width", "columns"),
    [(2, 79, 1), (2, 80, 2), (3, 80, 1), (3, 120, 3), (4, 80, 2), (4, 143, 2), (4, 144, 4), (2, 40, 1)],
)
def test_who_stands_beside_whom(count: int, width: int, columns: int) -> None:
    """Narrow terminals stack; else as many side by side as have room, in equal rows."""
    assert across(count, width) == columns


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(width, height, count) for width in (40, 80, 200) for height in (12, 24) for count in (2, 4)
     if (width, height, count) != (40, 12, 4)],  # four boxes of three lines do not fit into twelve
)  # fmt: skip
def test_the_live_picture_fits(width: int, height: int, count: int) -> None:
    """While they speak the picture is never taller or wider than the terminal, however much is said."""
    match = match_of(FOUR[:count])
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    ring = Ring(match, console=console)
    for place in range(count):
        ring.hear(TurnBegan(turn=Turn(0, 0, place), phase="opening", request=f"r{place}"), past=True)
    for _ in range(4):
        for place in range(count):
            ring.hear(Words(part=f"t0.0.{place}", text=f"word {place} 東京 and more of it, " * 8), past=True)
        lines = console.render_lines(ring._picture())
        assert len(lines) < height
        assert all(sum(part.cell_length for part in line) <= width for line in lines)
    assert "more of it" in "".join(part.text for line in lines for part in line)


def test_the_live_picture_never_shrinks() -> None:
    """A box that grew stays, so that nothing jumps where words are taken back."""
    match = match_of(two())
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True)
    ring = Ring(match, console=console)
    heights = []
    ring.hear(TurnBegan(turn=Turn(0, 0, 0), phase="opening", request="r"), past=True)
    for text, erase in (("a\n" * 12, 0), ("", 20), ("b", 0)):
        ring.hear(Words(part="t0.0.0", text=text, erase=erase), past=True)
        heights.append(len(console.render_lines(ring._picture())))
    assert heights[0] == heights[1] == heights[2] > 12


def test_a_long_text_shows_its_end() -> None:
    """Of what grows the last lines are seen, wrapped."""
    console = Console(file=io.StringIO(), width=20)
    lines = tail(console, "\n".join(f"line {n}" for n in range(500)), 10, 4)
    assert [line.plain for line in lines] == ["line 496", "line 497", "line 498", "line 499"]
    assert [line.plain.strip() for line in tail(console, "x" * 95, 10, 3)] == ["x" * 10, "x" * 10, "x" * 5]


def test_lines_that_stand_stay() -> None:
    """A line that was broken once is not broken anew with each word that comes: the text does not jump."""
    console, words, before = Console(file=io.StringIO(), width=80), "", ""
    for number in range(600):
        words += f"word{number} "
        lines = [line.plain.strip() for line in tail(console, words, 40, 5)]
        assert lines[-2:-1] == [before] or lines[-1].startswith(before) or lines[-3:-2] == [before]
        before = lines[-1]


def test_a_huge_text_is_not_wrapped_whole() -> None:
    """What is drawn twelve times a second does not grow with what was said."""
    console = Console(file=io.StringIO(), width=80)
    assert len(tail(console, "word " * 200_000, 40, 5)) == 5


@pytest.mark.parametrize("text", [HOSTILE, *TEXTS.values()], ids=["all", *TEXTS])
@pytest.mark.parametrize("kind", ["ring", "plain"])
def test_hostile_words_steer_no_terminal(text: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever speaks, judges, is named or is asked about: nothing but rich's own colours and line ends reaches the terminal."""
    text = text[:3000]
    fighters = (
        Fighter("a/b", name=text, persona=Persona(name=text or "x", colour="#12zz56"), stance=text),
        Fighter(text or "c/d", name=""),
    )
    match, events = whole(
        match_of(fighters, topic=text or "?", judges=(text or "j", "k"), rounds=1),
        say=lambda turn: text, reason=text, comment=text,
    )  # fmt: skip
    if kind == "ring":
        found = shown(match, events)
        found = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", found)
    else:
        view = views.Plain(match)
        for event in events:
            view.hear(event)
        found = capsys.readouterr().out
    bad = {sign for sign in found if (ord(sign) < 32 and sign != "\n") or 127 <= ord(sign) < 160}
    assert not bad
    assert not set(found) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
    found.encode("utf-8")


def test_markup_is_text() -> None:
    """What looks like rich's own markup is shown as it is written."""
    match, events = whole(
        match_of(two("[bold]X[/bold]"), topic="[red]Why?[/red]"), say=lambda turn: "say [blink]it[/blink]"
    )
    found = shown(match, events)
    assert "[red]Why?[/red]" in found
    assert "[bold]X[/bold]" in found
    assert "[blink]it[/blink]" in found


def test_what_failed_is_no_argument() -> None:
    """The words of a turn that failed are gone; why it failed stands there, and what else has to be known."""
    match, events = eventful()
    found = re.sub("[─│╭╮╰╯]", " ", shown(match, events, 79))
    assert "NEVER AN ARGUMENT" not in found
    assert "This was lo" not in found
    for told in (
        "Said anew.", "Cut by the limit of tokens.", "Half a word.", "East spoke.", "Lumen 4 is busy.", "Paused:",
        "It went on after 2 h", "left out", "chose another side when they were swapped",
        "could not sum up: Nobody answered.", "A turn was void",
    ):  # fmt: skip
        assert told in " ".join(found.split()), told


def test_words_cut_off_stay_where_it_is_left() -> None:
    """Whoever stops a round keeps on the screen what had come of it."""
    match = match_of(two())
    turn = Turn(0, 0, 0)
    found = shown(
        match,
        (TurnBegan(turn=turn, phase="opening", request="r"), Words(part=turn.part, text="Half a th")),
        100,
    )
    assert "Half a th" in found


def test_a_late_round_does_not_mix_with_the_last() -> None:
    """A round is printed once, as a whole; then the next begins, on a stage of its own."""
    match, events = whole()
    first = next(place for place, event in enumerate(events) if isinstance(event, RoundEnded))
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True)
    ring = Ring(match, console=console)
    for event in events[: first + 1]:
        ring.hear(event, past=True)
    assert ring._scene is None
    ring.hear(events[first + 1], past=True)
    assert isinstance(ring._scene, Round)
    assert ring._scene.where == (0, 1)


def battle() -> tuple[Match, list[Event]]:
    """Two answers, and no judge."""
    match = match_of(two(), rounds=1, judges=(), commentator="")
    writer = Writer(msgspec.structs.replace(match, kind="battle"))
    for place in (0, 1):
        writer.turn(Turn(0, 0, place), "answer", ARGUMENT)
    writer.write(RoundEnded(leg=0, round=0))
    writer.write(Ended(end="unjudged", is_rated=False, cost_units=10**9))
    return writer.match, writer.events


@pytest.mark.parametrize("kind", ["ring", "plain"])
def test_a_hidden_battle_names_nobody(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Until the vote nothing tells who answers: no name, no persona, no price, no speed."""
    match, events = battle()
    if kind == "ring":
        found = shown(match, events, hidden=True)
    else:
        view = views.Plain(match, hidden=True)
        for event in events:
            view.hear(event)
        found = capsys.readouterr().out
    for told in ("Lumen", "Basalt", "lumen", "basalt", "Optimist", "Skeptic", "$", "4.2 s", "tokens in"):
        assert told not in found, told
    assert "subsidy" in found
    assert (
        scorecard.plain(scorecard.revealed(match))
        == "A was Optimist · North: Lumen 4  B was Skeptic · South: Basalt 9B"
    )


def test_colours_are_those_of_the_page() -> None:
    """A persona's colour is used where it is one, the palette else; never foreign text as a style."""
    match = match_of(
        (
            Fighter("a/b", persona=Persona(name="A", colour="#2f6fed")),
            Fighter("c/d", persona=Persona(name="B", colour="bold red")),
        )
    )
    assert scorecard.colour(match, 0) == "#2f6fed"
    assert re.fullmatch("#[0-9a-f]{6}", scorecard.colour(match, 1))


@pytest.mark.parametrize(
    ("points", "order"),
    [
        ([1, 0], "A > B"),
        ([0, 1], "B > A"),
        ([0.5, 0.5], "A = B"),
        ([1, 3, 1], "B > A = C"),
        ([0, 0, 0, 3], "D > A = B = C"),
    ],
)
def test_a_judges_order(points: list[float], order: str) -> None:
    """The best first; equals beside each other."""
    assert scorecard.plain(scorecard.order(match_of(FOUR[: len(points)]), points)) == order


@pytest.mark.parametrize(("left", "filled"), [(100, 20), (72, 14), (1, 1), (0, 0), (-5, 0), (140, 20)])
def test_hit_points_as_a_bar(left: int, filled: int) -> None:
    """Twenty signs wide; who has a point left is not shown as beaten."""
    full, empty = scorecard.bar(left, "")
    assert (len(full[0]), len(empty[0])) == (filled, 20 - filled)


def test_plain_keeps_the_order_of_the_fighters(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a turn is written once it is whole and those before it are: whoever ends first need not be first."""
    match = match_of(two(), rounds=1)
    view = views.Plain(match)
    for place in (0, 1):
        view.hear(TurnBegan(turn=Turn(0, 0, place), phase="opening", request=f"r{place}"))
    capsys.readouterr()
    view.hear(Words(part="t0.0.1", text="The second"))
    view.hear(TurnEnded(turn=Turn(0, 0, 1), request="r1", text="The second.", model="m"))
    assert capsys.readouterr().out == ""
    view.hear(TurnEnded(turn=Turn(0, 0, 0), request="r0", text="The first.", model="m"))
    assert re.findall(r"### (\w)|The (\w+)\.", capsys.readouterr().out) == [
        ("A", ""),
        ("", "first"),
        ("B", ""),
        ("", "second"),
    ]


def test_plain_is_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Headings, arguments, the verdict and the commentator on stdout; what is no argument on stderr."""
    match, events = eventful()
    view = views.Plain(match)
    for event in events:
        view.hear(event)
    view.leave()
    out, err = capsys.readouterr()
    assert re.findall(r"^#+ (\w+)", out, re.MULTILINE) == [
        "Cities",
        "Opening",
        "A",
        "B",
        "Closing",
        "A",
        "B",
        "The",
    ]
    assert "NEVER AN ARGUMENT" not in out
    assert "Could not speak: Lumen 4 is busy." in out
    assert "Winner: A" in out
    for told in ("It went on", "Paused:", "left out", "could not sum up"):
        assert told in err


def test_lines_are_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    """One event a line, which reads back as what it was."""
    _, events = eventful()
    view = views.Lines()
    for event in events:
        view.hear(event)
    read = [msgspec.json.decode(line, type=Event) for line in capsys.readouterr().out.splitlines()]
    assert read == list(events)


def test_what_is_drawn_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live on a terminal only, and on none that cannot move its cursor."""
    monkeypatch.setattr("bytedeck.cli.tell.is_terminal", lambda stream: True)
    monkeypatch.setenv("TERM", "xterm")
    assert views.can_draw()
    monkeypatch.setenv("TERM", "dumb")
    assert not views.can_draw()
    assert isinstance(views.view(match_of(two()), json_=True), views.Lines)


def test_spoken() -> None:
    """Line ends of every kind are line ends, tabs are blanks, halves of characters are replaced."""
    assert scorecard.spoken("a\r\nb\u2028c\td\x00\ud800") == "a\nb\nc    d?"
    assert Text(scorecard.spoken("\u202eabc")).plain == "abc"
