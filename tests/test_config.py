"""`config.load`: the three sources, their order, and every way in which a file can be wrong."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bytedeck import config
from bytedeck.errors import ConfigError


def load(home: Path, text: str | None = None, **env: str) -> config.Config:
    """A configuration with this settings file and nothing else in the environment."""
    if text is not None:
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(text, "utf-8")
    return config.load({"BYTE_HOME": str(home), **env})


def complaint(home: Path, text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(home, text, **env)
    return str(caught.value)


def test_without_anything_there_are_defaults(tmp_path: Path) -> None:
    """A fresh machine has a whole configuration, and reading it makes no folder."""
    home = tmp_path / "fresh"
    found = load(home)
    assert found.home == home
    assert not home.exists()
    assert found.file == home / "config.toml"
    assert (found.api_key, found.key_source) == (None, "")
    assert found.base_url == "https://openrouter.ai/api/v1"
    assert found.database_url == f"sqlite://{home}/ledger.db"
    assert (found.app_title, found.app_url) == ("Bytedeck", "")
    assert (found.retries, found.fallback_models, found.ledger_required) == (2, (), False)
    assert found.timeouts.idle == 30
    assert found.warnings == ()


def test_the_home_is_the_platforms_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without BYTE_HOME the platform says where data goes."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert config.load({}).home == tmp_path / "bytedeck"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load()` without an argument reads os.environ."""
    monkeypatch.setenv("OPENROUTER_APP_TITLE", "Mine")
    assert config.load().app_title == "Mine"


SIX = {
    "orchestration": ("~google/gemini-pro-latest", "~google/gemini-flash-latest"),
    "architecture": ("~openai/gpt-latest", "~openai/gpt-mini-latest"),
    "coding": ("~anthropic/claude-sonnet-latest", "~anthropic/claude-haiku-latest"),
    "multi_agent": ("~anthropic/claude-opus-latest", "~anthropic/claude-sonnet-latest"),
    "web_scraping": ("~openai/gpt-latest", "~openai/gpt-mini-latest"),
    "general": ("~anthropic/claude-sonnet-latest", "~anthropic/claude-haiku-latest"),
}


def test_the_six_tasks_are_whole(tmp_path: Path) -> None:
    """Each shipped task has everything that a task record holds, and fall-backs of other makers."""
    found = load(tmp_path)
    assert list(found.tasks) == list(SIX)
    for name, (first, light) in SIX.items():
        task = found.tasks[name]
        assert (task.models[0], task.light, task.version) == (first, light, 1)
        makers = [model.partition("/")[0] for model in task.models]
        assert len(makers) == len(set(makers)) == 3
        assert dict(task.params) == {"max_tokens": 4096, "temperature": 0.7}
        assert 80 <= len(task.system.split()) <= 200
        assert task.system.startswith("You are Byte")
        assert task.label
        assert task.description
        assert task.keywords or name == "general"
        assert all(model in found.names for model in (*task.models, task.light))
    assert found.tasks["multi_agent"].aliases == ("multiAgent",)
    assert found.tasks["web_scraping"].aliases == ("webScraping",)


def test_every_model_that_is_named_has_a_display_name(tmp_path: Path) -> None:
    """Constants, aliases, successors and the dead have a name for people."""
    found = load(tmp_path)
    ids = {*found.constants.values(), *found.aliases.values(), *found.successors, *found.prefill}
    ids |= {one.id for one in found.successors.values()}
    permanent = {one for one in found.prefill if "~" not in one and one not in found.names}
    assert ids - permanent <= set(found.names)
    assert not set(found.successors) & {one.id for one in found.successors.values()}


def test_the_user_overrides_only_what_is_named(tmp_path: Path) -> None:
    """A task of the user's file changes its own fields, parameters and bounds, and nothing else."""
    text = """
    [timeouts]
    idle = 40
    [tasks.coding]
    models = ["openai/gpt-4o", "GPT_4O_MINI"]
    [tasks.coding.params]
    temperature = 0.2
    stop = ["END"]
    [tasks.coding.timeouts]
    total = 900
    """
    coding = load(tmp_path, text).tasks["coding"]
    shipped = load(tmp_path / "other").tasks["coding"]
    assert coding.models == ("openai/gpt-4o", "GPT_4O_MINI")
    assert (coding.system, coding.light, coding.label) == (shipped.system, shipped.light, shipped.label)
    assert dict(coding.params) == {"max_tokens": 4096, "temperature": 0.2, "stop": ["END"]}
    bounds = coding.timeouts
    assert (bounds.connect, bounds.first_event, bounds.idle, bounds.total) == (10, 180, 120, 900)
    assert load(tmp_path, text).tasks["general"].timeouts.idle == 40


def test_a_task_may_be_written_as_any_of_its_spellings(tmp_path: Path) -> None:
    """`[tasks.multiAgent]` is the shipped task, not a seventh one."""
    found = load(tmp_path, "[tasks.multiAgent]\nlabel = 'Council'")
    assert found.tasks["multi_agent"].label == "Council"
    assert len(found.tasks) == 6


def test_a_new_task_starts_from_the_shared_parameters(tmp_path: Path) -> None:
    """It needs models and a prompt or a description; the rest has defaults."""
    found = load(tmp_path, "[tasks.haiku_poems]\nmodels = ['haiku']\nsystem = 'Write haiku.'\n")
    task = found.tasks["haiku_poems"]
    assert (task.label, task.description, task.light) == ("Haiku poems", "", "")
    assert task.params["max_tokens"] == 4096
    assert found.where["tasks.haiku_poems"] == f"{tmp_path}/config.toml, line 1"
    assert found.where["tasks.coding"] == "shipped"


def test_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    """Each setting tells where it came from."""
    text = """
[openrouter]
base_url = "https://eu.openrouter.ai/api/v1/"
app_title = "From the file"
app_url = "https://example.org"
[ledger]
url = "memory:"
required = true
"""
    found = load(tmp_path, text, OPENROUTER_APP_TITLE="From outside")
    assert found.app_title == "From outside"
    assert found.where["openrouter.app_title"] == "OPENROUTER_APP_TITLE"
    assert found.base_url == "https://eu.openrouter.ai/api/v1"
    assert found.where["openrouter.base_url"] == f"{tmp_path}/config.toml, line 3"
    assert (found.database_url, found.ledger_required) == ("memory:", True)
    assert found.where["retries"] == "default"
    assert load(tmp_path, text, BYTE_DATABASE_URL="sqlite:///x.db").database_url == "sqlite:///x.db"


def test_simple_settings_of_the_file(tmp_path: Path) -> None:
    """Aliases, fall-backs and retries are read."""
    found = load(
        tmp_path, 'retries = 0\nfallback_models = ["fast"]\n[aliases]\nfast = "gpt-mini"\nmine = "a/b"\n'
    )
    assert (found.retries, found.fallback_models) == (0, ("fast",))
    assert found.aliases["fast"] == "gpt-mini"
    assert found.aliases["sonnet"] == "~anthropic/claude-sonnet-latest"


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    """BYTE_CONFIG is a promise; the default file is not."""
    with pytest.raises(ConfigError, match="There is no file") as caught:
        load(tmp_path, BYTE_CONFIG=str(tmp_path / "nowhere.toml"))
    assert caught.value.hint == ("BYTE_CONFIG names it.",)
    other = tmp_path / "other.toml"
    other.write_text("retries = 5")
    assert load(tmp_path, BYTE_CONFIG=str(other)).retries == 5


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("retries = ", 1, "not valid TOML: Invalid value"),
        ("retries = 1\n[tasks", 2, "not valid TOML"),
        ("a = '''\n\n", 3, "not valid TOML"),
        ("retires = 3", 1, "unknown setting `retires`; did you mean `retries`?"),
        ("zzz = 3", 1, "unknown setting `zzz`."),
        ("\n[openrouter]\n# address\nbase-url = 'x'", 4, "`openrouter.base-url`; did you mean `openrouter.base_url`?"),
        ("[openrouter]\napi_key = 'sk'", 2, "unknown setting `openrouter.api_key`"),
        ("[tasks.coding]\nlabel='x'\nmodles = ['a/b']", 3, "`tasks.coding.modles`; did you mean `tasks.coding.models`?"),
        ("[tasks.coding]\ntemprature = 1", 2, "a request field belongs in [tasks.coding.params], as `temperature`."),
        ("[tasks.coding.timeouts]\nilde = 3", 2, "`tasks.coding.timeouts.ilde`; did you mean `tasks.coding.timeouts.idle`?"),
        ("retries = 'two'", 1, "`retries`: expected a whole number, got a text in quotes."),
        ("retries = 11", 1, "`retries`: expected a whole number <= 10."),
        ("retries = true", 1, "expected a whole number, got true or false"),
        ("[timeouts]\nidle = -1", 2, "`timeouts.idle`: expected a number > 0"),
        ("[timeouts]\nidle = nan", 2, "`timeouts.idle`: expected a number > 0"),
        ("[timeouts]\ntotal = inf", 2, "`timeouts.total`: expected a number <= 86400"),
        ("timeouts = 3", 1, "`timeouts`: expected a table, got a whole number."),
        ("[tasks]\ncoding = 3", 2, "`tasks.coding`: expected a table, got a whole number."),
        ("[tasks.coding]\nmodels = []", 2, "`tasks.coding.models`: expected a list that is not empty."),
        ("[tasks.coding]\nmodels = ['a/b', 3]", 2, "`tasks.coding.models[1]`: expected a text in quotes"),
        ("[tasks.coding]\nmodels = ['a/b', '']", 2, "`tasks.coding.models[1]`: expected a text in quotes that is not empty"),
        ("[tasks.coding]\nmodels = ['byte/general']", 2, "a task cannot stand for another one (byte/general)"),
        ("[tasks.coding]\nmodels = ['sonet']", 2, "'sonet' is neither a model id nor an alias; did you mean 'sonnet'?"),
        ("[tasks.coding]\nlight = 'qqqq'", 2, "`tasks.coding.light`: 'qqqq' is neither a model id nor an alias."),
        ("fallback_models = ['nope nope']", 1, "`fallback_models`: 'nope nope' is neither"),
        ("fallback_models = [' ']", 1, "is neither a model id nor an alias"),
        ("tasks.coding.params.max_tokens = 0", 1, "`tasks.coding.params.max_tokens`: expected a whole number >= 1."),
        ("[tasks.coding.params]\ntemperature = 3", 2, "expected a number <= 2"),
        ("[tasks.coding.params]\ntop_p = nan", 2, "`tasks.coding.params.top_p`: expected a number > 0"),
        ("[tasks.coding.params]\nlater = 2026-01-01", 2, "`tasks.coding.params.later`: expected a value that JSON can hold."),
        ("[tasks.coding.params]\nx = [{ y = inf }]", 2, "`tasks.coding.params.x`: expected a value that JSON can hold."),
        ("[tasks.coding.params]\nstream = true", 2, "`tasks.coding.params.stream`: a task cannot set this field"),
        ("\n[tasks.mine]\nsystem = 'x'", 2, "`tasks.mine`: a new task needs `models`."),
        ("[tasks.mine]\nmodels = ['a/b']", 1, "`tasks.mine`: a new task needs `system` or `description`."),
        ("[tasks.Auto]\nmodels = ['a/b']", 1, "`tasks.Auto`: this name is reserved."),
        ("[tasks.'my task']\nmodels = ['a/b']", 1, '`tasks."my task"`: expected a name of small letters'),
        ("[tasks.coding]\naliases = ['general']", 2, "`tasks.coding.aliases`: 'general' already means 'general'."),
        ("[tasks.coding]\naliases = ['Auto']", 2, "`tasks.coding.aliases`: 'Auto' already means"),
        ("[aliases]\nx = 3", 2, "`aliases.x`: expected a model id in quotes."),
        ("[aliases]\nx = ''", 2, "`aliases.x`: expected a model id in quotes."),
        ("[aliases]\n'byte/x' = 'a/b'", 2, "does not begin with byte/"),
        ("[aliases]\na = 'b'\nb = 'a'", 2, "expected a model id such as author/name, and 'a' is none"),
        ("[aliases]\na = 'b'", 2, "'b' is none"),
        ("[openrouter]\napp_title = 'a\tb'", 2, "expected Latin letters and signs on one line"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_path(tmp_path: Path, text: str, line: int, says: str) -> None:
    """File, line, path, what was expected, and for an unknown key the nearest known one."""
    said = complaint(tmp_path, text)
    assert said.startswith(f"{tmp_path}/config.toml, line {line}: ")
    assert says in said


@pytest.mark.parametrize(
    ("raw", "says"),
    [(b"retries = 1\nx = '\xff'", "line 2: not valid UTF-8"), (b"x = " + b"[" * 5000, "nested too deeply")],
)
def test_bytes_that_are_no_text(tmp_path: Path, raw: bytes, says: str) -> None:
    """A file in another encoding, or one that is built to exhaust the reader, is refused."""
    (tmp_path / "config.toml").write_bytes(raw)
    with pytest.raises(ConfigError, match=says):
        load(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder in the file's place is an error, not a traceback."""
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    """What Windows editors write is read, and lines are still counted right."""
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf# mine\r\nretries = 3\r\n")
    assert load(tmp_path).retries == 3
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbf# mine\r\nretries = 33\r\n")
    with pytest.raises(ConfigError, match=r"config\.toml, line 2: `retries`"):
        load(tmp_path)


@pytest.mark.parametrize(
    "url",
    ["openrouter.ai", "ftp://x.org", "https://", "http://[::1", "https://a b.org", "https://x.org:99999", "https://ü.org"],
)  # fmt: skip
def test_an_address_has_to_be_one(tmp_path: Path, url: str) -> None:
    """What is not an http(s) address is refused, and the message tells its source."""
    with pytest.raises(
        ConfigError, match=r"OPENROUTER_BASE_URL: `openrouter\.base_url`: expected an address such"
    ):
        load(tmp_path, OPENROUTER_BASE_URL=url)


@pytest.mark.parametrize("url", ["https://me:pw@x.org", "https://x.org/?key=1", "https://x.org/#a"])
def test_an_address_holds_nothing_but_the_place(tmp_path: Path, url: str) -> None:
    """Credentials and queries have no business in the base address."""
    with pytest.raises(ConfigError, match="without user"):
        load(tmp_path, OPENROUTER_API_BASE=url)


@pytest.mark.parametrize(("url", "told"), [("http://gate.lan/v1", True), ("http://127.0.0.1:8000/v1", False)])
def test_an_address_without_encryption_is_told(tmp_path: Path, url: str, told: bool) -> None:
    """Only where the way leaves the machine."""
    assert bool(load(tmp_path, OPENROUTER_BASE_URL=url + "/").warnings) is told


@pytest.mark.parametrize("title", ["two\nlines", "日本"])
def test_what_becomes_a_header_has_to_fit_one(tmp_path: Path, title: str) -> None:
    """No line breaks, nothing outside Latin-1."""
    with pytest.raises(ConfigError, match=r"OPENROUTER_APP_TITLE: `openrouter\.app_title`"):
        load(tmp_path, OPENROUTER_APP_TITLE=title)


def test_a_home_that_cannot_be_a_path(tmp_path: Path) -> None:
    """A user that does not exist has no home."""
    with pytest.raises(ConfigError, match="BYTE_HOME"):
        config.load({"BYTE_HOME": "~nobody-at-all-here/x"})


# the key


def test_the_key_of_the_environment(tmp_path: Path) -> None:
    """Both names are read, white space around it does not count, blank is none."""
    found = load(tmp_path, OPENROUTER_API_KEY=" sk-1\n")
    assert found.api_key == config.Secret("sk-1")
    assert found.key_source == "OPENROUTER_API_KEY"
    assert load(tmp_path, OPENROUTER_KEY="sk-2").key_source == "OPENROUTER_KEY"
    assert load(tmp_path, OPENROUTER_API_KEY="  \n").api_key is None


def test_two_keys_that_differ_are_told(tmp_path: Path) -> None:
    """The first one is used, and neither is shown."""
    found = load(tmp_path, OPENROUTER_API_KEY="sk-1", OPENROUTER_KEY="sk-2")
    assert found.api_key is not None
    assert found.api_key.reveal() == "sk-1"
    assert found.warnings == ("OPENROUTER_API_KEY and OPENROUTER_KEY differ; OPENROUTER_API_KEY is used.",)
    assert load(tmp_path, OPENROUTER_API_KEY="sk-1", OPENROUTER_KEY="sk-1 ").warnings == ()


def test_a_saved_key_comes_back(tmp_path: Path) -> None:
    """It is written for its owner alone, in a folder of the owner's, and a key outside wins over it."""
    home = tmp_path / "a" / "home"
    path = config.save_key(home, '  sk-or-"quoted\\é"\r\n')
    assert path == config.key_path(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    found = load(home)
    assert found.api_key is not None
    assert found.api_key.reveal() == 'sk-or-"quoted\\é"'
    assert found.key_source == str(path)
    assert load(home, OPENROUTER_API_KEY="sk-out").key_source == "OPENROUTER_API_KEY"
    config.save_key(home, "sk-new")
    assert os.listdir(home) == ["keys.toml"]
    assert config.remove_key(home)
    assert not config.remove_key(home)
    assert load(home).api_key is None


def test_a_key_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    """The warning says what to do."""
    path = config.save_key(tmp_path, "sk-1")
    path.chmod(0o644)
    assert load(tmp_path).warnings == (f"Others on this machine can read {path}; run: chmod 600 {path}",)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "The key is empty"),
        (" \n", "The key is empty"),
        ("sk-canary one", "white space inside it, at character 10"),
        ("sk-canary\none", "white space inside it"),
        ("sk-canary\x00", "number 10, U\\+0000"),
        ("sk-canary…", "number 10, U\\+2026"),
    ],
)
def test_a_key_that_cannot_be_one(tmp_path: Path, key: str, says: str) -> None:
    """It is refused clearly, nothing is written, and the message does not hold it."""
    with pytest.raises(ConfigError, match=says) as caught:
        config.save_key(tmp_path / "home", key)
    assert "sk-canary" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"
    assert not (tmp_path / "home").exists()


def test_a_bad_key_outside_names_its_variable(tmp_path: Path) -> None:
    """The person has to know which one to mend."""
    with pytest.raises(ConfigError, match="OPENROUTER_KEY: the key has"):
        load(tmp_path, OPENROUTER_KEY="a b")


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """Saving and removing a key fail with what to do, not with a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to") as caught:
        config.save_key(tmp_path / "file" / "home", "sk-1")
    assert "BYTE_HOME" in caught.value.hint[0]
    with pytest.raises(ConfigError, match="cannot be removed"):
        config.remove_key(tmp_path / "file" / "home")


def test_a_write_that_fails_leaves_the_old_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced in one step, and no scratch file stays behind."""
    config.save_key(tmp_path, "sk-old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        config.save_key(tmp_path, "sk-new")
    assert os.listdir(tmp_path) == ["keys.toml"]
    assert load(tmp_path).api_key == config.Secret("sk-old")


def test_a_broken_key_file(tmp_path: Path) -> None:
    """It is told like any other file, without what it holds."""
    config.key_path(tmp_path).write_text('openruoter = "sk-canary"')
    with pytest.raises(ConfigError, match=r"keys\.toml, line 1: unknown setting `openruoter`") as caught:
        load(tmp_path)
    assert "sk-canary" not in str(caught.value)
    assert load(tmp_path, OPENROUTER_API_KEY="sk-1").api_key


# what is offered to others


def test_the_settings_table_is_the_truth(tmp_path: Path) -> None:
    """Each row with a field is one, has a source, and stands in what `byte config` shows; secrets are stars."""
    found = load(tmp_path, OPENROUTER_API_KEY="sk-canary", BYTE_DATABASE_URL="postgresql://ada:secret@db/x")
    rows = {name: (value, source) for name, value, source in config.shown(found)}
    assert set(rows) == {row.key for row in config.SETTINGS if row.field}
    assert rows["OPENROUTER_API_KEY"] == ("********", "OPENROUTER_API_KEY")
    assert rows["ledger.url"] == ("postgresql://ada:********@db/x", "BYTE_DATABASE_URL")
    assert rows["timeouts.idle"] == ("30", "default")
    assert rows["ledger.required"][0] == "false"
    assert rows["fallback_models"][0] == "none"
    assert {row.key for row in config.SETTINGS if row.field} == {
        name for name in found.where if not name.startswith("tasks.")
    }
    assert "sk-canary" not in repr(found)
    assert all(row.meaning for row in config.SETTINGS)
    assert load(tmp_path, "fallback_models = ['a/b', 'c/d']") is not None
    assert ("fallback_models", "a/b, c/d") in [row[:2] for row in config.shown(load(tmp_path))]


def test_importing_reads_no_toml() -> None:
    """`import bytedeck.config` and the models' names cost no file and no parser."""
    script = (
        "import sys, bytedeck.config, bytedeck.models\n"
        "print([one for one in ('tomllib', 'difflib', 'platformdirs', 'bytedeck.config.lines') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
