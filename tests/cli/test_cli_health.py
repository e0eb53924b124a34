"""`byte models health`, and that words after `byte models` are still looked for."""

from __future__ import annotations

import json
from pathlib import Path

from upstream import MODEL, Upstream, error, words

OTHER = "google/gemini-3-pro"


def test_health_before_anything_was_asked(byte, home: Path) -> None:
    """A sentence, and no file is made for saying so."""
    result = byte("models", "health")
    assert result.exit_code == 0
    assert "nothing to tell" in result.stdout
    assert json.loads(byte("models", "health", "--json").stdout) == {"models": [], "keys": [], "learnt": {}}
    assert not (home / "ledger.db").exists()


def test_health_after_failures(byte, keyed: Upstream, home: Path) -> None:
    """The sick first, with when it is tried again; figures in words and as JSON."""
    home.mkdir()
    (home / "config.toml").write_text("retries = 0\n")
    keyed.script(words(), error(503))
    assert byte("-m", OTHER, "a").exit_code == 0
    for _ in range(3):
        assert byte("-m", MODEL, "a").exit_code == 21
    lines = byte("models", "health").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["MODEL", MODEL, "failed:", OTHER]
    assert lines[1].split()[1:4] == ["open", "3", "100%"]
    assert "unavailable, " in lines[2]
    assert "tried again in " in lines[2]
    assert lines[3].split()[1:4] == ["well", "1", "0%"]
    assert max(map(len, lines)) <= 80
    first, second = json.loads(byte("models", "health", "--json").stdout)["models"]
    assert (first["model"], first["state"]) == (OTHER, "closed")
    assert first["first_token_p50"] > 0
    assert (second["model"], second["state"], second["failures"]) == (MODEL, "open", 3)
    assert second["last_failure"] == "unavailable"
    result = byte("-m", MODEL, "-m", OTHER, "--explain", "a")
    assert f"{MODEL} is asked last: it failed 3 times in a row" in result.output


def test_health_of_keys_and_lessons(byte, keyed: Upstream) -> None:
    """A refused key is told by its last four signs; what a model has taught, too."""
    keyed.script(error(400, message="This model does not support assistant message prefill."), error(401))
    for _ in range(4):
        byte("-m", MODEL, "a")
    told = byte("models", "health").stdout
    assert "is refused (authentication, " in told
    assert f"{MODEL} takes no beginning of its answer." in told
    found = json.loads(byte("models", "health", "--json").stdout)
    assert found["learnt"] == {MODEL: ["no_prefill"]}
    assert [one["state"] for one in found["keys"]] == ["open"]


def test_health_of_a_ledger_that_cannot_be_read(byte, home: Path) -> None:
    """Who asks for it is told."""
    home.mkdir()
    (home / "ledger.db").write_bytes(b"no database" * 1000)
    result = byte("models", "health")
    assert result.exit_code == 8
    assert "is damaged" in result.stderr


def test_words_are_still_looked_for(byte, keyed: Upstream) -> None:
    """`byte models list health` looks for the word that is a command."""
    assert "No model holds these words" in byte("models", "list", "health").stderr
    assert MODEL in byte("models", "mini").stdout
    assert "Usage: byte models list" in byte("models", "list", "--help").stdout
    assert "health" in byte("models", "--help").stdout
