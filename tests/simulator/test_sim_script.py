"""Faults over time: when an entry holds, whom it hits, how often; and what is no script."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytedeck.simulator.errors import SimulatorError
from bytedeck.simulator.faults import script
from bytedeck.simulator.faults.script import Asked, Script

TOML = """
[[fault]]
fault = "overloaded;retry_after=5"
after = 10
for = 60
every = 120
model = "anthropic/*"
"""


def played(
    script_: Script, now: float, number: int = 1, model: str = "anthropic/x", **more: str
) -> list[str]:
    told = {"key": "ordinary", "skin": "chat"} | more
    return [one.text for one in script_.choose(Asked(now=now, number=number, model=model, **told))]


def test_an_entry_holds_in_its_window_again_and_again() -> None:
    """After 10 s for 60 s, every 120 s; only for the models of its glob."""
    playing = Script(
        "0", script.entries({"fault": [{"fault": "reset", "after": 10, "for": 60, "every": 120}]}), 1000
    )
    holds = [bool(played(playing, 1000 + age)) for age in (0, 9, 10, 69, 70, 129, 130, 189, 190)]
    assert holds == [False, False, True, True, False, False, True, True, False]


@pytest.mark.parametrize(
    ("entry", "asked", "holds"),
    [
        ({"model": "anthropic/*"}, {"model": "openai/x"}, False),
        ({"model": "anthropic/*"}, {"model": "anthropic/y"}, True),
        ({"key": "ord*"}, {"key": "ordinary"}, True),
        ({"key": "poor"}, {"key": "ordinary"}, False),
        ({"skin": "messages"}, {"skin": "chat"}, False),
        ({"skin": "data"}, {"skin": "data"}, True),
    ],
)
def test_whom_an_entry_hits(entry: dict[str, str], asked: dict[str, str], holds: bool) -> None:
    """Globs over model, key and skin."""
    playing = Script("0", script.entries([{"fault": "reset", **entry}]))
    assert bool(played(playing, 0.0, **asked)) is holds


def test_times_and_added_entries() -> None:
    """An entry is over after so many times; one that is added begins when it is added."""
    playing = Script("0", script.entries([{"fault": "reset", "times": 2}]), 0.0)
    assert [len(played(playing, 0.0)) for _ in range(4)] == [1, 1, 0, 0]
    playing.add(script.entries([{"fault": "hang", "after": 5}]), 100.0)
    assert (played(playing, 104.0), played(playing, 105.0)) == ([], ["hang"])
    assert [one["met"] for one in playing.listed()] == [2, 1]


def test_rate_and_random_follow_from_the_seed() -> None:
    """About its share of the requests, the same ones for the same seed, others for another."""
    entries = script.entries([{"fault": "random", "rate": 0.2}])

    def run(seed: str) -> list[list[str]]:
        playing = Script(seed, entries)
        return [played(playing, 0.0, number) for number in range(2000)]

    once, again, other = run("1"), run("1"), run("2")
    assert once == again != other
    hit = [one for one in once if one]
    assert 300 < len(hit) < 500
    assert len({one[0] for one in hit}) > 50


def test_random_among_others_and_for_some_times() -> None:
    """`random` is a name like any other: it takes times, and stands beside others."""
    playing = Script("0", script.entries([{"fault": "comments:count=2,random"}]))
    met = [played(playing, 0.0, number) for number in range(50)]
    assert {len(one) for one in met} == {2}
    assert {one[0] for one in met} == {"comments:count=2"}
    assert len({one[1] for one in met}) > 20


def test_a_file_as_toml_and_as_json(tmp_path: Path) -> None:
    """The same script in both."""
    (tmp_path / "a.toml").write_text(TOML)
    (tmp_path / "a.json").write_text(
        '[{"fault": "overloaded;retry_after=5", "after": 10, "for": 60, "every": 120, "model": "anthropic/*"}]'
    )
    assert script.load(str(tmp_path / "a.toml")) == script.load(str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[fault]]\nfault = "overloded"', "Did you mean overloaded"),
        ('[[fault]]\nfault = "overloded"', "byte simulate --list-faults$"),
        ('[[fault]]\nfault = "reset"\nwhen = 3', "no use for when: it takes fault, after"),
        ('[[fault]]\nfault = "reset"\nafter = "soon"', "after is 'soon', text, and has to be a number"),
        ('[[fault]]\nfault = "reset"\ntimes = 1.5', "times is 1.5, a number, and has to be a whole number"),
        ('[[fault]]\nfault = "reset"\nrate = true', "rate is True, true or false, and has to be a number"),
        ('[[fault]]\nfault = "reset"\nmodel = ["a"]', "model is .'a'., a list, and has to be text"),
        (
            '[[fault]]\nfault = "reset"\nskin = "chatt"',
            "no skin is 'chatt'. They are chat, completions, .*data",
        ),
        ('[[fault]]\nfault = "reset"\nfor = 60\nevery = 30', "every is 30 and shorter than for, 60"),
        ('fault = "reset"', "is a list of faults.* This one is text"),
        ('fault = ["reset"]', "Entry 1 of the script is text, and has to be an object"),
        ("", "The script is empty"),
        ("# nothing yet", "has no entries"),
        ("fault = []", "has no entries"),
        ('[[fault]]\nfault = "reset"\nafter = -3', "after is -3"),
        ('[[fault]]\nfault = "reset"\nrate = 3.0', "rate is 3.0"),
        ('[[fault]]\nfault = ""', "names no fault"),
        ("[[fault]]\nafter = 3", "needs the key fault"),
        ("[[faults]]\nafter = 3", "is a list of faults"),
        ("not toml", "is no TOML"),
    ],
)
def test_what_is_no_script_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    """It names the entry or the field."""
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(SimulatorError, match=told) as caught:
        script.load(str(file))
    assert "\n" not in str(caught.value)
    assert "`" not in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Bytes that are no text, and JSON that is none."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "bad.json").write_text("{")
    for name, told in (
        ("bytes.toml", "cannot be read"),
        ("bad.json", "is no JSON"),
        ("none.toml", "There is no such script"),
        ("", "This is a directory, and a script is a file"),
    ):
        with pytest.raises(SimulatorError, match=told) as caught:
            script.load(str(tmp_path / name))
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
