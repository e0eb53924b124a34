"""`byte arena`: matches that are kept, votes, ratings and orders, as a person and as a script sees them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from bouts import bout, fighter
from bytedeck import Hub
from bytedeck.arena.events import Begun, Event
from bytedeck.arena.show import record
from bytedeck.arena.types import Fighter, Match
from bytedeck.cli import naming, tell
from bytedeck.simulator import Simulator
from shows import eventful, whole

MINI, SONNET = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"
Keep = Callable[..., str]


@pytest.fixture
def keep() -> Keep:
    """Keep a match as if it had been held; its id."""

    def kept(match: Match, events: Sequence[Event], **changed: object) -> str:
        match = msgspec.structs.replace(match, **({"owner": ""} | changed))
        first = msgspec.structs.replace(events[0], match=match)
        assert isinstance(first, Begun)
        rest = [msgspec.structs.replace(one, seq=place) for place, one in enumerate(events[1:], start=1)]
        with Hub() as hub:
            hub.house.matches.create(match, first)
            hub.house.matches.append(match.id, rest)
            hub.house.matches.release(match.id)
            hub.arena.record(match.id)
        return match.id

    return kept


@pytest.fixture
def battle(keep: Keep) -> str:
    """Two hidden answers that wait for a vote."""
    found = bout(
        (fighter(MINI, name="GPT-4o mini"), fighter(SONNET, name="Claude Sonnet 4.5")),
        score=None, end="unjudged", is_rated=False, judges=(), texts=("One answer.", "The other."), task="general",
    )  # fmt: skip
    return keep(*found)


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture
def sim(server: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator, with the settings that lead there."""
    server.reset()
    monkeypatch.setenv("OPENROUTER_API_KEY", server.api_key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    return server


def test_the_first_time(byte) -> None:
    """Where nothing was ever held each command says what to do, and none fails."""
    told = byte("arena")
    assert "There are no matches yet." in told.stdout
    assert 'byte debate "' in told.stdout
    for args, hint in (
        (("board",), "byte arena run"),
        (("judges", "audit"), "byte debate"),
        (("changes",), "has changed no order"),
        (("promote",), "Nothing speaks for another order yet."),
        (("list", "--json"), "[]"),
    ):
        told = byte("arena", *args)
        assert (told.exit_code, hint in told.stdout) == (0, True), (args, told.output)


@pytest.mark.parametrize("args", [("debate",), ("arena",), ("arena", "run"), ("arena", "judges")])
def test_help_imports_little(args: Sequence[str]) -> None:
    """The help of all these needs neither the library nor rich: it comes at once."""
    code = (
        "import sys\nfrom bytedeck.cli.main import cli\n"
        f"try: cli({[*args, '--help']!r})\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.startswith("Usage:")
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"msgspec", "rich", "sqlite3", "asyncio", "bytedeck.client", "bytedeck.arena.types"}


def test_the_list(byte, keep: Keep, battle: str) -> None:
    """Newest first, with state, cost and who won; a page at a time."""
    debate = keep(*whole())
    told = byte("arena").stdout
    assert re.search(rf"{debate} .* debate +A won +\$0\.001 +Cities should .* A Optimist – B Skeptic", told)
    assert re.search(rf"{battle} .* battle +unjudged .* A – B", told)
    (first,) = json.loads(byte("arena", "list", "--limit", "1", "--json").stdout)
    others = json.loads(byte("arena", "list", "--before", first["id"], "--json").stdout)
    assert {first["id"], *(one["id"] for one in others)} == {debate, battle}
    by_id = {one["id"]: one for one in [first, *others]}
    assert by_id[debate]["cost"] == "0.001"
    assert (by_id[debate]["state"], by_id[debate]["end"], by_id[debate]["winner"]) == ("over", "decided", 0)


def test_show_and_replay(byte, keep: Keep) -> None:
    """The beginning of an id is enough; a replay says the same as the whole, in its time."""
    id_ = keep(*eventful())
    shown = byte("arena", "show", id_[:4])
    assert shown.exit_code == 0
    assert "Said anew." in shown.stdout
    assert "Cost: " in shown.stderr
    again = byte("arena", "replay", id_, "--speed", "1000000")
    assert again.stdout == shown.stdout
    assert "Left out: 2 h" in again.stderr
    lines = byte("arena", "replay", id_, "--speed", "1e6", "--json").stdout.splitlines()
    assert len(lines) == len(eventful()[1])


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("show", "zzzz"), 6, "There is no match 'zzzz'."),
        (("show", "../etc"), 6, "There is no match '../etc'."),
        (("vote", "zzzz", "A"), 6, "There is no match"),
        (("resume", "zzzz"), 6, "There is no match"),
        (("export", "zzzz"), 6, "There is no match"),
        (("forget", "zzzz", "-y"), 6, "There is no match"),
        (("undo", "99"), 14, "There is no change 99."),
        (("undo", "nonsense"), 6, "nonsense"),
        (("promote", "nonsense"), 6, "nonsense"),
        (("promote", "coding"), 14, "Nothing speaks for another order of coding yet."),
        (("board", "-t", "nonsense"), 6, "nonsense"),
        (("run", "--prompts", "no-such-file"), 14, "no-such-file cannot be read"),
        (("battle", "x", "-m", "gpt"), 14, "A battle needs two models; named here: 1."),
        (("battle",), 14, "There is no prompt."),
        (("battle", "x", "--file", "y"), 14, "Here are a prompt and a file of prompts."),
        (("battle", "x", "-m", "gpt", "-m", "gpt", "--judges", "-1"), 14, "judges is -1"),
        (("replay", "zzzz", "--speed", "0"), 2, "0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(byte, args: Sequence[str], code: int, said: str) -> None:
    """A sentence, and the exit code of its kind."""
    told = byte("arena", *args)
    assert said in told.stderr
    assert told.exit_code == code


def test_documents(byte, keep: Keep, tmp_path: Path) -> None:
    """Every format, on stdout and in files whose names say which; what cannot be written is said."""
    match, events = eventful()
    id_ = keep(match, events)
    assert byte("arena", "export", id_).stdout.startswith("# Debate\n")
    read = record.read(byte("arena", "export", id_, "--format", "json").stdout)
    assert [type(one) for one in read.events] == [type(one) for one in events]
    assert (
        byte("arena", "show", id_, "--json").stdout == byte("arena", "export", id_, "--format", "json").stdout
    )
    assert "<html" in byte("arena", "export", id_, "--format", "card").stdout
    for name in ("match.md", "match.json", "match.html", "match.svg", "plain"):
        told = byte("arena", "export", id_, "-o", str(tmp_path / name))
        assert told.exit_code == 0
        assert told.stdout == ""
    ElementTree.fromstring((tmp_path / "match.svg").read_text("utf-8"))
    assert "<!doctype html>" in (tmp_path / "match.html").read_text("utf-8").lower()
    assert (tmp_path / "plain").read_text("utf-8") == (tmp_path / "match.md").read_text("utf-8")
    told = byte("arena", "export", id_, "-o", str(tmp_path / "match.pdf"))
    assert (told.exit_code, (tmp_path / "match.pdf").exists()) == (2, False)
    assert "There is no format .pdf; there are .md, .json, .html, .svg." in told.stderr
    named = byte("arena", "export", id_, "-o", str(tmp_path / "match.txt"), "--format", "md")
    assert (named.exit_code, (tmp_path / "match.txt").exists()) == (0, True)
    told = byte("arena", "export", id_, "-o", str(tmp_path / "nowhere" / "x.md"))
    assert told.exit_code == 1
    assert "No such file or directory" in told.stderr


def test_votes(byte, keep: Keep) -> None:
    """By letter, number or name, on the whole or a round; the last one counts; nonsense says what there is."""
    id_ = keep(*whole())
    for choice, meant in (
        ("a", "A Optimist"),
        ("2", "B Skeptic"),
        ("skeptic", "B Skeptic"),
        ("tie", "a tie"),
    ):
        assert byte("arena", "vote", id_[:5], choice).stdout.startswith(f"Your vote: {meant}")
    assert json.loads(byte("arena", "vote", id_, "B", "--round", "2", "--json").stdout) == {
        "match": id_, "choice": 1, "round": 1,
    }  # fmt: skip
    told = byte("arena", "show", id_).stdout
    assert "Your vote on round 2: B Skeptic" in told
    assert "Your vote on the whole: a tie" in told
    assert byte("arena", "vote", id_, "C").exit_code == 14
    assert "A (Optimist), B (Skeptic), or tie" in byte("arena", "vote", id_, "nobody").stderr
    assert byte("arena", "vote", id_, "A", "--round", "7").exit_code == 14


def test_a_match_of_a_key_is_voted_on_as_a_spectator(byte, keep: Keep) -> None:
    """What a gateway's key has made is not this person's own."""
    id_ = keep(*whole(), owner="ada", is_public=True)
    assert byte("arena", "vote", id_, "A").exit_code == 0
    assert "Spectators on the whole: A 1" in byte("arena", "show", id_).stdout


def test_a_battle_stays_blind_until_the_vote(byte, battle: str) -> None:
    """Nowhere a name before the vote, unless asked for; the vote tells them."""
    for args in (
        ("list",),
        ("show", battle),
        ("replay", battle),
        ("export", battle),
        ("export", battle, "--format", "html"),
    ):
        told = byte("arena", *args)
        assert told.exit_code == 0
        assert not re.search("mini|sonnet", told.output, re.IGNORECASE), args
    assert "GPT-4o mini" in byte("arena", "show", battle, "--reveal").stdout
    voted = byte("arena", "vote", battle, "B")
    assert voted.stdout == "Your vote: B Claude Sonnet 4.5.\nA was GPT-4o mini  B was Claude Sonnet 4.5\n"
    assert "Claude Sonnet 4.5" in byte("arena", "show", battle).stdout


def test_forgetting(byte, keep: Keep) -> None:
    """Nobody is asked without a terminal, and nothing is removed; with --yes it is gone, and so is what it said."""
    id_ = keep(*bout(task="general"))
    assert json.loads(byte("arena", "board", "--json").stdout)["battles"] == 1
    refused = byte("arena", "forget", id_)
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert "byte ask" not in refused.stderr
    assert byte("arena", "forget", id_, "--yes").exit_code == 0
    assert byte("arena", "show", id_).exit_code == 6
    assert json.loads(byte("arena", "board", "--json").stdout)["battles"] == 0


def test_personas(byte) -> None:
    """Those that ship, and your own."""
    found = json.loads(byte("arena", "personas", "--json").stdout)
    assert {one["id"] for one in found} >= {"skeptic", "socrates"}
    assert "The Skeptic" in byte("arena", "personas").stdout


@pytest.mark.parametrize("columns", ["60", "140"])
def test_the_board(byte, keep: Keep, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Ranks, points, intervals and counts; where there is room the intervals are drawn on one line."""
    monkeypatch.setenv("COLUMNS", columns)
    for _ in range(3):
        keep(*bout(task="coding", score=1.0))
    told = byte("arena", "board", "-t", "coding")
    assert re.search(r"1–2 +alpha/one +1\d\d\d\? .*3 +3 +0 +0", told.stdout)
    assert ("●" in told.stdout) == (columns == "140")
    assert max(map(len, told.stdout.splitlines())) <= 140
    monkeypatch.setattr(tell, "is_terminal", lambda _: True)
    if columns == "60":
        narrow = byte("arena", "board", "-t", "coding").stdout
        assert re.search(r"alpha/one .* 3 / 0 / 0\n", narrow)
    assert "3 battles in 3 matches of the task coding, by judges." in told.stderr
    assert "Nobody has fought there yet" in byte("arena", "board", "--source", "owner").stdout
    assert json.loads(byte("arena", "board", "--json", "--raw").stdout)["rows"][0]["wins"] == 3


def test_the_audit(byte, keep: Keep) -> None:
    """A line for each judge; the one that flips shows it."""
    keep(*whole())
    told = byte("arena", "judges", "audit")
    lines = {line.split()[0]: line for line in told.stdout.splitlines()}
    assert "100%" in lines["lyra/arbiter"]
    assert " 0% (" in lines["juno/judge-large"]
    assert len(json.loads(byte("arena", "judges", "audit", "--json").stdout)["judges"]) == 3


def test_orders_change_and_change_back(byte, keep: Keep, home: Path) -> None:
    """What the evidence holds for is proposed, done by one command, listed, and undone by another."""
    home.mkdir()
    file = home / "config.toml"
    file.write_text('# mine\n[tasks.coding]\nmodels = ["alpha/one", "beta/two"]\n')
    for _ in range(50):
        keep(*bout(task="coding", score=0.0))
    dry = byte("arena", "promote", "--dry-run", "coding")
    assert dry.exit_code == 0, dry.stderr
    assert "→ " in dry.stdout
    assert "beta/two" in dry.stdout.lower()
    assert json.loads(byte("arena", "promote", "--json").stdout)[0]["after"] == ["beta/two", "alpha/one"]
    assert '["alpha/one", "beta/two"]' in file.read_text()
    done = byte("arena", "promote", "coding")
    assert done.exit_code == 0, done.stderr
    assert "Take it back: byte arena undo 1" in done.stderr
    assert file.read_text().startswith("# mine\n")
    assert re.search(r'models = \[\s*"beta/two",\s*"alpha/one"', file.read_text())
    assert byte("arena", "undo", "coding", "--json").exit_code == 0
    changes = json.loads(byte("arena", "changes", "--json").stdout)
    assert [one.get("by", "person") for one in changes] == ["person", "undo"]
    assert "Change 1 was taken back." in byte("arena", "changes", "coding").stdout
    assert re.search(r'models = \[\s*"alpha/one",\s*"beta/two"', file.read_text())


def test_battles_in_a_pipe(byte, sim: Simulator, tmp_path: Path) -> None:
    """Prompts of a file, one battle each, A and B without names, and how to vote."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Name a river.\nName a hill.\n")
    told = byte("arena", "battle", "--file", str(prompts), "-m", MINI, "-m", SONNET, "--max-tokens", "10")
    assert told.exit_code == 0, told.stderr
    assert re.findall("^# (.+)$", told.stdout, re.MULTILINE) == ["Name a river.", "Name a hill."]
    assert not re.search("mini|sonnet", told.output, re.IGNORECASE)
    ids = re.findall(r"byte arena vote (\w+) A", told.stderr)
    assert len(ids) == 2
    assert "A was " in byte("arena", "vote", ids[0], "tie").stdout


def test_who_declines_the_vote_is_told(byte, sim: Simulator) -> None:
    """With --no-vote the names come at once; the pair that tells most is chosen where nobody is named."""
    told = byte("arena", "battle", "Name a river.", "--max-tokens", "10", "--no-vote")
    assert told.exit_code == 0, told.stderr
    assert re.search("A was .+ B was ", told.stdout)
    assert "Cost: A $" in told.stderr


def test_a_tournament(byte, sim: Simulator) -> None:
    """Battles before judges, a line each; what they say is on the board; piped prompts do as well."""
    told = byte(
        "arena",
        "run",
        "--battles",
        "2",
        "--budget",
        "1",
        "--prompts",
        "-",
        "--max-tokens",
        "10",
        input="One?\nTwo?\n",
    )
    assert told.exit_code == 0, told.stderr
    assert re.findall(r"^(\d of 2)  ", told.stdout, re.MULTILINE) == ["1 of 2", "2 of 2"]
    assert "of $1 spent" in told.stdout
    assert "byte arena board -t general" in told.stderr
    lines = byte(
        "arena", "run", "--battles", "1", "--prompts", "-", "--max-tokens", "10", "--json", input="x"
    ).stdout
    assert json.loads(lines)["of"] == 1
    assert json.loads(byte("arena", "board", "-t", "general", "--json").stdout)["battles"] == 3
    assert len(json.loads(byte("arena", "next", "--count", "2", "--json").stdout)) == 2
    assert "WHY" in byte("arena", "next").stdout


def test_a_hostile_name_in_the_list(byte, keep: Keep) -> None:
    """What models and prompts are called steers no terminal."""
    match, events = whole()
    bad = "\x1b]0;x\x07\u202eevil\nline"
    found = keep(match, events, topic=bad, fighters=(Fighter("a/b", name=bad), Fighter("c/d", name="D")))
    told = byte("arena").stdout
    assert found in told
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", told)
    assert len(told.splitlines()) == 2


def test_models_in_sentences_have_names() -> None:
    """Ids that somebody has named are called by the name; other words with a stroke stay."""
    with Hub() as hub:
        said = naming.named(hub.house, "~openai/gpt-latest beats 1/2 of a/b, and/or ~openai/gpt-latest.")
    assert said == "GPT (latest) beats 1/2 of a/b, and/or GPT (latest)."
