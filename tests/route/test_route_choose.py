"""Choosing: who answers, in which order, with what of the task, and what the person is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from bytedeck import config, errors, models
from bytedeck.callers import Caller
from bytedeck.health import Health, Standing
from bytedeck.route.catalog import Catalog, parse
from bytedeck.route.choose import Chains, choose
from bytedeck.route.fit import room, size, too_long
from bytedeck.route.resolve import display_name, takes_prefill
from bytedeck.types import Ask, Candidate, Message, Model, Plan, Policy, Timeouts

LOCAL = "local/smollm2-135m"
SONNET, HAIKU = "~anthropic/claude-sonnet-latest", "~anthropic/claude-haiku-latest"
GPT, GEMINI = "~openai/gpt-latest", "~google/gemini-pro-latest"
CODING = [SONNET, GPT, GEMINI]
CONFIG = config.load()


def listed(*ids: str, **fields: Any) -> Catalog:
    """A catalogue with these models."""
    price = {"prompt": "0.000001", "completion": "0.000002"}
    data = [
        {"id": one, "name": f"Maker: {one}", "context_length": 200000, "pricing": price, **fields}
        for one in ids
    ]
    return parse(msgspec.json.encode({"data": data}))


def plan(
    *named: str,
    task: str = "",
    text: str = "hello",
    messages: tuple[Message, ...] | None = None,
    catalog: Catalog | None = None,
    key: bool = True,
    local: bool = True,
    reason: str = "",
    using: config.Config = CONFIG,
    **ask: Any,
) -> Plan:
    said = messages or ({"role": "user", "content": text},)
    request = Ask(id="0", messages=said, task=task, models=named, **ask)
    chains: Chains = {}
    found, again, *_ = (
        choose(request, using, catalog, has_key=key, has_local=local, local_reason=reason, chains=chains)
        for _ in range(2)
    )
    assert again == found, "what was worked out before is what would be worked out now"
    return found


def ids(found: Plan) -> list[str]:
    return [one.model for one in found.candidates]


def whys(found: Plan) -> list[str]:
    return [one.why for one in found.candidates]


@pytest.mark.parametrize(
    ("task", "named", "chain", "why", "goes_along"),
    [
        ("coding", (), CODING, ["first choice for coding", "fall-back 1 for coding", "fall-back 2 for coding"], "coding"),
        ("webScraping", (), [GPT, GEMINI, SONNET], ["first choice for web_scraping"], "web_scraping"),
        ("", (), [SONNET, GPT, "~google/gemini-flash-latest"],
         ["first choice for general: no task and no model was named", "fall-back 1 for general"], "general"),
        ("", ("byte/coding",), CODING, ["first choice for coding"], "coding"),
        ("", ("byte/Multi-Agent",), ["~anthropic/claude-opus-latest", GPT, GEMINI], ["first choice for multi_agent"], "multi_agent"),
        ("", ("openai/gpt-4o",), ["openai/gpt-4o"], ["you named it"], ""),
        ("", (" openai/gpt-4o ",), ["openai/gpt-4o"], ["you named it"], ""),
        ("", ("GPT_4O",), ["openai/gpt-4o"], ["you named it (as GPT_4O)"], ""),
        ("", ("gpt-4o",), ["openai/gpt-4o"], ["you named it (as gpt-4o)"], ""),
        ("", ("sonnet",), [SONNET], ["you named it (as sonnet)"], ""),
        ("", ("Sonnet",), [SONNET], ["you named it (as Sonnet)"], ""),
        ("", ("a/b", "c/d"), ["a/b", "c/d"], ["you named it, as first choice", "you named it, as fall-back 1"], ""),
        ("", ("a/b", "sonnet", "a/b", SONNET), ["a/b", SONNET], ["you named it, as first choice", "you named it (as sonnet), as fall-back 1"], ""),
        ("coding", ("a/b",), ["a/b"], ["you named it"], "coding"),
        ("", ("a/b", "byte/coding"), ["a/b", *CODING], ["you named it, as first choice", "first choice for coding"], "coding"),
        ("general", ("byte/coding",), CODING, ["first choice for coding"], "general"),
        ("", ("byte/coding", "byte/web_scraping"), [*CODING], ["first choice for coding"], "coding"),
        ("", (LOCAL,), [LOCAL], ["you named it"], ""),
        ("", ("local",), [LOCAL], ["you named it (as local)"], ""),
        ("", ("a/b", "local"), ["a/b", LOCAL], ["you named it, as first choice", "you named it (as local), as fall-back 1"], ""),
    ],
)  # fmt: skip
def test_the_chain(
    task: str, named: tuple[str, ...], chain: list[str], why: list[str], goes_along: str
) -> None:
    """A task, a model, an alias, a constant, several, or `byte/<task>` where a model id fits."""
    found = plan(*named, task=task)
    assert ids(found) == chain
    assert whys(found)[: len(why)] == why
    assert found.task == goes_along
    assert found.notes == ()
    shipped = CONFIG.tasks[goes_along] if goes_along else None
    assert found.system == (shipped.system if shipped else "")
    assert found.defaults == (shipped.params if shipped else {})
    assert found.timeouts == (shipped.timeouts if shipped else CONFIG.timeouts)


def test_a_candidate_tells_its_name_and_its_way() -> None:
    """Display names are there without a catalogue; the local model is free and holds 8,192 tokens."""
    gpt, local = plan("GPT_4O", "local").candidates
    assert (gpt.name, gpt.route, gpt.info, gpt.prefill) == ("GPT-4o", "openrouter", None, None)
    assert (local.name, local.route) == ("SmolLM2 135M (local)", "local")
    assert local.info is not None
    assert local.info.context_length == 8192
    assert local.info.price is not None
    assert (local.info.price.prompt, local.info.price.completion) == (0, 0)


def test_the_asks_own_timeouts_win() -> None:
    """They stand above the task's."""
    assert plan(task="coding", timeouts=Timeouts(idle=1)).timeouts.idle == 1
    assert plan(task="coding").timeouts.first_event == 180


# the dead

BRIEF = [
    ("google/gemini-3-pro-preview", GEMINI),
    ("openai/chatgpt-4o-latest", GPT),
    ("anthropic/claude-sonnet-4.5", None),
    ("anthropic/claude-opus-4.5", None),
    ("openai/gpt-4o", None),
    ("openai/gpt-4o-mini", None),
    ("anthropic/claude-3.5-sonnet", SONNET),
    ("anthropic/claude-3-haiku", None),
    ("anthropic/claude-3.7-sonnet", SONNET),
    ("google/gemini-pro", GEMINI),
    ("google/gemini-2.0-flash-exp", "~google/gemini-flash-latest"),
    ("meta-llama/llama-3-70b", "meta-llama/llama-3.3-70b-instruct"),
    ("meta-llama/llama-3.3-70b-instruct", None),
    ("mistralai/mistral-large", None),
    ("deepseek/deepseek-chat", None),
    ("deepseek/deepseek-reasoner", "deepseek/deepseek-v4-pro"),
]


@pytest.mark.parametrize(("named", "successor"), BRIEF)
def test_the_sixteen_ids_of_the_brief(named: str, successor: str | None) -> None:
    """The living are sent as they are, the dead resolve to their successors, and that is said."""
    found = plan(named)
    assert ids(found) == [successor or named]
    if successor:
        assert whys(found) == [f"successor of {named}, which is no longer served"]
        assert found.notes[0].startswith(f"{named} is not served (")
        assert found.notes[0].endswith(f"; {successor} answers instead.")
    else:
        assert whys(found) == ["you named it"]
        assert found.notes == ()


def test_every_constant_resolves() -> None:
    """By its name, and by its value."""
    for name in dir(models):
        assert ids(plan(name)) == ids(plan(getattr(models, name)))


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ("anthropic/claude-3.5-sonnet:nitro", SONNET + ":nitro"),
        ("anthropic/claude-3.7-sonnet:thinking", SONNET),
        ("google/gemini-2.0-flash-exp:free", "openrouter/free"),
        ("meta-llama/llama-3-70b-instruct:free", "meta-llama/llama-3-70b-instruct:free"),
        ("openai/gpt-4o:floor", "openai/gpt-4o:floor"),
    ],
)
def test_variants_of_the_dead(named: str, sent: str) -> None:
    """How to route is kept, a variant of its own is not, and what was free never becomes paid."""
    assert ids(plan(named)) == [sent]


def test_the_catalogue_knows_who_lives() -> None:
    """An id that is listed is not replaced, whatever our data says."""
    assert ids(plan("google/gemini-pro", catalog=listed("google/gemini-pro"))) == ["google/gemini-pro"]


def test_a_dead_id_in_a_chain_keeps_its_place() -> None:
    """The reason tells both."""
    found = plan("a/b", "CLAUDE_3_5_SONNET")
    assert whys(found)[1] == (
        "you named it (as CLAUDE_3_5_SONNET), as fall-back 1; "
        "successor of anthropic/claude-3.5-sonnet, which is no longer served"
    )


# unknown names


@pytest.mark.parametrize(
    "named",
    ["openai/gpt-4o:nitro", "openai/gpt-4o@preset/mine", "@preset/mine", "openrouter/auto", "~new/family-latest",
     "openai/gpt-4o", "nobody/knows@preset/mine"],
)  # fmt: skip
def test_with_a_catalogue_a_relative_is_passed_on(named: str) -> None:
    """Aliases, presets, routers and variants go as they are: the server is the judge."""
    assert ids(plan(named, catalog=listed("openai/gpt-4o"))) == [named]


def test_without_a_catalogue_every_id_is_passed_on() -> None:
    """We know too little to say no."""
    assert ids(plan("nobody/knows-this")) == ["nobody/knows-this"]


@pytest.mark.parametrize(
    ("named", "with_catalog", "hint"),
    [
        ("openai/gtp-4o", True, "Did you mean: openai/gpt-4o, openai/gpt-4o:free?"),
        ("zzz/zzzzzzzzzzzzzz", True, None),
        (
            "claude-sonet",
            False,
            "Did you mean: anthropic/claude-sonnet-5, anthropic/claude-sonnet-4.6, anthropic/claude-sonnet-4.5?",
        ),
        (
            "claude-sonnet-4.5",
            False,
            "Did you mean: anthropic/claude-sonnet-4.5, anthropic/claude-sonnet-5, anthropic/claude-sonnet-4.6?",
        ),
        ("gpt-4o-mni", True, "Did you mean: GPT_4O_MINI, gpt-mini, GPT_4O?"),
        ("byte-coding", False, "Did you mean: byte/coding, byte/web_scraping?"),
        ("local/llama", False, f"Did you mean: {LOCAL}?"),
        ("qqqqqqqq", False, None),
        ("  ", False, None),
    ],
)
def test_an_unknown_model_tells_the_nearest(named: str, with_catalog: bool, hint: str | None) -> None:
    """What surely is no model is refused before anything is sent."""
    with pytest.raises(errors.UnknownModel, match=r"There is no model|name is empty") as caught:
        plan(named, catalog=listed("openai/gpt-4o", "openai/gpt-4o:free") if with_catalog else None)
    assert caught.value.hint == ((hint,) if hint else ())


def test_an_unknown_task_behind_byte() -> None:
    """`byte/<task>` is judged as a task."""
    with pytest.raises(errors.UnknownTask) as caught:
        plan("byte/codign")
    assert caught.value.hint[0] == "Did you mean: coding?"


def test_an_unlisted_model_of_the_configuration_is_told(tmp_path: Path) -> None:
    """It still goes, since the server is the judge, but it does not go unsaid."""
    mine = configured(tmp_path, "[tasks.coding]\nmodels = ['openai/gpt-4', 'openai/gpt-4o']")
    found = plan(task="coding", using=mine, catalog=listed("openai/gpt-4o"))
    assert ids(found) == ["openai/gpt-4", "openai/gpt-4o"]
    assert found.notes == ("The catalogue does not list openai/gpt-4, which your configuration names.",)


# with and without a key, with and without a model on this machine

STANDS_IN = "no OPENROUTER_API_KEY, so the model on this machine answers"


@pytest.mark.parametrize("task", ["", "coding", "auto", "webScraping"])
def test_without_a_key_this_machine_answers_any_task(task: str) -> None:
    """It says so, and the task's prompt goes along."""
    found = plan(task=task, key=False)
    assert ids(found) == [LOCAL]
    assert whys(found) == [STANDS_IN]
    assert found.task in CONFIG.tasks
    assert found.system


@pytest.mark.parametrize(
    ("named", "chain", "why", "notes"),
    [
        (("byte/coding",), [LOCAL], STANDS_IN, ()),
        ((LOCAL,), [LOCAL], "you named it", ()),
        (("openai/gpt-4o", LOCAL), [LOCAL], "you named it, as fall-back 1",
         ("openai/gpt-4o is skipped: there is no OPENROUTER_API_KEY.",)),
        (("openai/gpt-4o", "byte/coding"), [LOCAL], STANDS_IN,
         ("openai/gpt-4o is skipped: there is no OPENROUTER_API_KEY.",)),
        (("byte/coding", LOCAL), [LOCAL], "you named it, as fall-back 1", ()),
    ],
)  # fmt: skip
def test_what_is_left_of_a_chain_without_a_key(
    named: tuple[str, ...], chain: list[str], why: str, notes: tuple[str, ...]
) -> None:
    """The local model stands in for a task's models, never for one that was named."""
    found = plan(*named, key=False)
    assert (ids(found), whys(found), found.notes) == (chain, [why], notes)


@pytest.mark.parametrize(
    ("named", "key", "local", "says", "hints"),
    [
        ((), False, False, "There is no OpenRouter key, and it was not installed.", ["byte keys set", "byte local install"]),
        (("byte/coding",), False, False, "There is no OpenRouter key", ["byte keys set", "byte local install"]),
        (("openai/gpt-4o",), False, True, "openai/gpt-4o is served by OpenRouter", ["byte keys set", f"-m {LOCAL}"]),
        (("openai/gpt-4o",), False, False, "openai/gpt-4o is served by OpenRouter", ["byte keys set", "byte local install"]),
        (("a/b", LOCAL), False, False, "a/b is served by OpenRouter", ["byte keys set", "byte local install"]),
        ((LOCAL,), False, False, f"{LOCAL} cannot answer: it was not installed.", ["byte local install", "byte keys set"]),
        ((LOCAL,), True, False, f"{LOCAL} cannot answer: it was not installed.", ["byte local install"]),
    ],
)  # fmt: skip
def test_no_way_to_answer(
    named: tuple[str, ...], key: bool, local: bool, says: str, hints: list[str]
) -> None:
    """The message says what is missing, the hints what to do, a line each."""
    with pytest.raises(errors.NoWayToAnswer) as caught:
        plan(*named, key=key, local=local, reason="it was not installed.")
    assert str(caught.value).startswith(says)
    assert len(caught.value.hint) == len(hints)
    assert all(hint in line for hint, line in zip(hints, caught.value.hint, strict=True))


def test_without_a_reason_there_is_a_plain_one() -> None:
    """The sentence is whole even if nobody said why."""
    with pytest.raises(errors.NoWayToAnswer, match="the model on this machine is not installed"):
        plan(key=False, local=False)


def test_a_missing_local_model_is_skipped_in_a_chain() -> None:
    """The others still answer, and it is said."""
    found = plan("a/b", LOCAL, local=False)
    assert ids(found) == ["a/b"]
    assert found.notes == (f"{LOCAL} is skipped: the model on this machine is not installed.",)


def test_with_a_key_the_local_model_answers_only_when_named() -> None:
    """No task falls to it by itself."""
    for task in CONFIG.tasks:
        assert LOCAL not in ids(plan(task=task))


def configured(home: Path, text: str) -> config.Config:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(text)
    return config.load({"BYTE_HOME": str(home)})


@pytest.mark.parametrize(
    ("task", "named", "chain"),
    [
        ("", ("a/b",), ["a/b", GPT, "x/y"]),
        ("coding", (), [*CODING, "x/y"]),
        ("", (LOCAL,), [LOCAL]),
        ("", ("x/y",), ["x/y", GPT]),
    ],
)
def test_configured_fall_backs(tmp_path: Path, task: str, named: tuple[str, ...], chain: list[str]) -> None:
    """They follow every chain that goes to OpenRouter; who names the local model stays on this machine."""
    mine = configured(tmp_path, 'fallback_models = ["gpt", "x/y"]')
    found = plan(*named, task=task, using=mine)
    assert ids(found) == chain
    if chain[-1] == "x/y":
        assert whys(found)[-1] == "fall-back from your configuration"


def test_configured_fall_backs_need_a_key(tmp_path: Path) -> None:
    """Without one they are not asked."""
    mine = configured(tmp_path, 'fallback_models = ["gpt"]')
    assert ids(plan("a/b", LOCAL, using=mine, key=False)) == [LOCAL]


def test_aliases_of_ones_own(tmp_path: Path) -> None:
    """They may lead to an alias, a constant or a task; a task's models may be aliases too."""
    text = '[aliases]\nfast = "haiku"\nold = "CLAUDE_3_5_SONNET"\ncode = "byte/coding"\n[tasks.coding]\nmodels = ["fast", "old"]'
    mine = configured(tmp_path, text)
    assert ids(plan("fast", using=mine)) == [HAIKU]
    assert ids(plan("code", using=mine)) == [HAIKU, SONNET]
    found = plan("old", using=mine)
    assert found.candidates[0].why == "successor of anthropic/claude-3.5-sonnet, which is no longer served"
    assert whys(plan(task="coding", using=mine))[1] == (
        "fall-back 1 for coding; successor of anthropic/claude-3.5-sonnet, which is no longer served"
    )


# auto


def user(text: str) -> Message:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("text", "task", "light", "why"),
    [
        ("hi there", "general", True, "auto found no other task's keywords, and the prompt is short and simple"),
        ("fix this Python bug", "coding", True, "auto found “python”, “bug”, and the prompt is short and simple"),
        ("fix this Python bug step by step", "coding", False, "auto found “python”, “bug”"),
        ("write a function\nthat adds two numbers", "coding", False, "auto found “function”"),
        ("Design a system for a chat: microservices or a monolith?", "architecture", True, "auto found “design a system”, “microservice”, “monolith”"),
        ("scrape https://example.org and cite sources", "web_scraping", True, "auto found “scrap”, “https://”, “cite”"),
        ("Delegate the workflow and coordinate the pipeline", "orchestration", True, "auto found “delegat”, “workflow”, “coordinate”"),
        ("Have a debate with pros and cons from two perspectives", "multi_agent", True, "auto found “debate”, “pros and cons”, “perspective”"),
        ("Schreib mir eine Architektur, skalierbar", "architecture", True, "auto found “architekt"),
        ("用python写一个函数", "coding", True, "auto found “python”, “函数”"),
        ("the barcode and the debuggers", "coding", True, "auto found “debug”"),
        ("x" * 201, "general", False, "auto found no other task's keywords"),
        ("python " + "word " * 100_000 + " traceback", "coding", False, "auto found “python”, “traceback”"),
    ],
)  # fmt: skip
def test_auto(text: str, task: str, light: bool, why: str) -> None:
    """The keywords decide the task, the shape of the prompt decides whether the light model goes first."""
    found = plan(task="auto", text=text)
    assert found.task == task
    first = CONFIG.tasks[task].light if light else CONFIG.tasks[task].models[0]
    assert ids(found)[0] == first
    assert whys(found)[0].startswith(f"{'light model' if light else 'first choice'} for {task}: {why}")
    assert len(found.candidates) == 3 + light
    assert all("auto" not in one for one in whys(found)[1:])
    assert ids(plan("byte/auto", text=text)) == ids(found)
    assert plan("byte/AUTO", text=text).system == found.system


@pytest.mark.parametrize(
    ("messages", "task", "light"),
    [
        ((user("fix this python bug"), {"role": "assistant", "content": "done"}, user("thanks")), "general", False),
        (({"role": "system", "content": "You write python"}, user("hello")), "general", True),
        (({"role": "user", "content": [{"type": "text", "text": "fix this python"}, {"type": "image_url"}]},), "coding", True),
        (({"role": "system", "content": "only this"},), "general", True),
        (({"role": "user", "content": None},), "general", True),
    ],
)  # fmt: skip
def test_auto_reads_the_last_user_message(messages: tuple[Message, ...], task: str, light: bool) -> None:
    """A conversation under way is not a simple prompt; what else stands in it does not vote."""
    found = plan(task="auto", messages=messages)
    assert (found.task, len(found.candidates) == 4) == (task, light)


def test_auto_without_a_light_model(tmp_path: Path) -> None:
    """A task without one starts with its first."""
    mine = configured(tmp_path, "[tasks.coding]\nlight = ''\n[tasks.general]\nkeywords = []")
    found = plan(task="auto", text="python", using=mine)
    assert (
        whys(found)[0] == "first choice for coding: auto found “python”, and the prompt is short and simple"
    )


# length

WORDS = "word " * 10_000


def test_a_prompt_that_is_surely_too_long_for_this_machine() -> None:
    """Its size, the limit, and what would hold it."""
    with pytest.raises(errors.ContextTooLong) as caught:
        plan(key=False, text=WORDS)
    assert str(caught.value) == (
        "The prompt is too long for SmolLM2 135M (local): it has at least 10,000 tokens (50,000 characters), "
        "and the model holds 8,192."
    )
    assert caught.value.hint == (
        "Models at OpenRouter hold far more. Save a key from https://openrouter.ai/keys with: byte keys set",
    )
    with pytest.raises(errors.ContextTooLong) as caught:
        plan(LOCAL, text=WORDS, catalog=listed("a/big", "b/big", "c/big", "d/big"))
    assert caught.value.hint == ("These would hold it: a/big, b/big, c/big.",)
    with pytest.raises(errors.ContextTooLong) as caught:
        plan(LOCAL, text=WORDS)
    assert caught.value.hint == ("Shorten the prompt, or name a model with a longer context.",)


@pytest.mark.parametrize(
    "text", ["word " * 8192, "wordwords " * 8192, "x" * 200_000, "日" * 60_000, " " * 1_000_000]
)
def test_what_might_fit_is_not_refused(text: str) -> None:
    """One long word, white space and other scripts have fewer tokens than one might think."""
    assert ids(plan(LOCAL, text=text)) == [LOCAL]


@pytest.mark.parametrize(
    ("context", "words", "ask", "fits"),
    [
        (16_000, 64_000, {}, True),
        (16_000, 64_100, {}, False),
        (16_000, 64_100, {"params": {"plugins": []}}, True),
        (16_000, 64_100, {"params": {"transforms": ["middle-out"]}}, True),
        (8_192, 64_100, {}, True),
        (None, 64_100, {}, True),
    ],
)
def test_length_at_openrouter(context: int | None, words: int, ask: dict[str, Any], fits: bool) -> None:
    """Four words may be one token; who lets the upstream shorten the prompt is not stopped."""
    catalog = listed("a/small", context_length=context)
    if fits:
        assert ids(plan("a/small", text="w " * words, catalog=catalog, **ask)) == ["a/small"]
    else:
        with pytest.raises(errors.ContextTooLong, match="16,025 tokens"):
            plan("a/small", text="w " * words, catalog=catalog, **ask)


def test_models_that_are_too_small_are_skipped() -> None:
    """The rest of the chain answers, and it is said."""
    catalog = listed("a/small", context_length=10_000)
    found = plan("a/small", LOCAL, "openrouter/auto", text="word " * 50_000, catalog=catalog)
    assert ids(found) == ["openrouter/auto"]
    assert found.notes == (
        "a/small is skipped: it holds 10,000 tokens, and the prompt has more.",
        f"{LOCAL} is skipped: it holds 8,192 tokens, and the prompt has more.",
    )


OLD: tuple[Message, ...] = ({"role": "user", "content": WORDS}, {"role": "assistant", "content": "I see."})
NEW: tuple[Message, ...] = ({"role": "user", "content": "And now?"},)
COMPACT = Policy(compact=True)


def test_what_can_be_shortened_is_not_refused() -> None:
    """Where it is allowed a chain for which a prompt is too long is kept, the roomiest first, and it is said."""
    catalog = listed("a/small", context_length=9_000)
    small, big = catalog.models[0], listed("b/big", context_length=10_000).models[0]
    both = Catalog(models=(small, big), by_id={"a/small": small, "b/big": big})
    long = (*OLD, *OLD, *OLD, *OLD, *OLD, *NEW)
    found = plan(LOCAL, "a/small", "b/big", messages=long, catalog=both, policy=COMPACT)
    assert ids(found) == ["b/big", "a/small", LOCAL]
    assert found.notes == (
        "The prompt is longer than what any of the models holds: its oldest messages are left out.",
    )
    with pytest.raises(errors.ContextTooLong):
        plan(LOCAL, "a/small", "b/big", messages=long, catalog=both)


def test_shortening_is_the_last_resort() -> None:
    """A model that holds the whole prompt is asked, and the others are not."""
    found = plan(LOCAL, "openrouter/auto", messages=(*OLD, *NEW), policy=COMPACT)
    assert ids(found) == ["openrouter/auto"]


@pytest.mark.parametrize(
    "messages",
    [
        (*NEW, *OLD[1:], *OLD[:1]),
        ({"role": "system", "content": WORDS}, *OLD, *NEW),
        (*NEW, {"role": "assistant", "content": WORDS}),
    ],
    ids=["the last word", "the instructions", "what follows the last word"],
)
def test_what_may_never_be_left_out_is_refused(messages: tuple[Message, ...]) -> None:
    """Shortening would not help, so nothing is sent."""
    with pytest.raises(errors.ContextTooLong):
        plan(LOCAL, messages=messages, policy=COMPACT)


@pytest.mark.parametrize(
    ("limit", "params", "long"),
    [
        (None, {}, False),
        (1_999, {}, False),
        (9_999, {}, True),
        (10_000, {}, False),
        (9_999, {"plugins": []}, False),
    ],
)
def test_which_candidates_a_prompt_is_too_long_for(
    limit: int | None, params: dict[str, Any], long: bool
) -> None:
    """The same question, for one candidate; a small context is OpenRouter's own to fill."""
    info = Model(id="a/b", name="B", context_length=limit)
    one = Candidate(model="a/b", name="B", route="openrouter", why="", info=info)
    messages: tuple[Message, ...] = ({"role": "user", "content": "word " * 40_000},)
    assert too_long(messages, (one,), params) == ([one] if long else [])


def test_only_texts_count() -> None:
    """A picture of a megabyte in the body is not a prompt of a million tokens."""
    picture = {"type": "image_url", "image_url": {"url": "data:," + "a " * 500_000}}
    parts: Message = {"role": "user", "content": [picture, {"type": "text", "text": "what is it?"}, "odd"]}
    assert ids(plan(LOCAL, messages=(parts,))) == [LOCAL]


# what the catalogue adds


def test_an_expiry_is_told() -> None:
    """Of the first choice only."""
    found = plan("a/b", catalog=listed("a/b", expiration_date="2026-12-01"))
    assert found.notes == ("a/b may be removed after 2026-12-01.",)
    assert found.candidates[0].info is not None


@pytest.mark.parametrize(
    ("id_", "name"),
    [
        ("openai/gpt-4o", "GPT-4o"),
        ("openai/gpt-4o:nitro", "GPT-4o"),
        (LOCAL, "SmolLM2 135M (local)"),
        ("a/b", "Maker: a/b"),
        ("a/b:free", "Maker: a/b"),
        ("no/body", "no/body"),
        ("@preset/x", "@preset/x"),
    ],
)
def test_display_names(id_: str, name: str) -> None:
    """Ours first, then the catalogue's, then the id."""
    assert display_name(id_, CONFIG, listed("a/b")) == name


@pytest.mark.parametrize(
    ("id_", "takes"),
    [
        ("anthropic/claude-opus-4.6", False),
        ("anthropic/claude-opus-4.6:nitro", False),
        (SONNET, False),
        (HAIKU, None),
        ("~some/alias-latest", False),
        ("openai/gpt-4o", None),
        (LOCAL, True),
    ],
)
def test_prefill_facts(id_: str, takes: bool | None) -> None:
    """What is known is told, also of variants and of what an alias stands for; the rest stays unknown."""
    catalog = listed("~some/alias-latest", alias_target={"slug": "anthropic/claude-sonnet-5", "name": "x"})
    assert takes_prefill(id_, CONFIG, catalog) is takes
    assert takes_prefill("anthropic/claude-sonnet-5", CONFIG, None) is False


@pytest.mark.parametrize(
    ("task", "named", "is_kept"),
    [
        ("coding", (), True),
        ("", ("openai/gpt-4o",), True),
        ("", (), True),
        ("auto", (), False),
        (" Auto ", (), False),
        ("", ("byte/auto",), False),
        ("", ("openai/gpt-4o", "byte/AUTO"), False),
    ],
)
def test_what_is_worked_out_once(task: str, named: tuple[str, ...], is_kept: bool) -> None:
    """What names come to is kept for the next request; where its words decide, it is not."""
    chains: Chains = {}
    texts = (
        "Fix this bug in my Python code: def f(): return 1/0",
        "Translate this into French: good morning",
    )
    for text in texts:
        ask = Ask(id="0", messages=({"role": "user", "content": text},), task=task, models=named)
        kept = choose(ask, CONFIG, None, has_key=True, has_local=True, chains=chains)
        assert kept == choose(ask, CONFIG, None, has_key=True, has_local=True)
    assert bool(chains) is is_kept


def test_what_is_worked_out_is_bounded() -> None:
    """However many names are asked for, only some of them are kept."""
    chains: Chains = {}
    for number in range(400):
        ask = Ask(id="0", messages=({"role": "user", "content": "hi"},), models=(f"a/{number}",))
        choose(ask, CONFIG, None, has_key=True, has_local=True, chains=chains)
    assert len(chains) == 256


def test_a_key_is_asked_for_its_rights_each_time() -> None:
    """What one key may use opens nothing to another one that names the same."""
    chains: Chains = {}
    said: tuple[Message, ...] = ({"role": "user", "content": "hi"},)
    for name, tasks, is_let_in in (("a", (), True), ("b", ("general",), False), ("a", (), True)):
        caller = Caller(name=name, tasks=tasks)
        ask = Ask(id="0", messages=said, task="coding", caller=caller)
        if is_let_in:
            assert choose(ask, CONFIG, None, has_key=True, has_local=False, chains=chains).candidates
        else:
            with pytest.raises(errors.PermissionRefused):
                choose(ask, CONFIG, None, has_key=True, has_local=False, chains=chains)


def test_what_a_request_says_of_its_own_is_not_kept() -> None:
    """Its bounds, its policy and the health of that moment are nobody else's."""
    chains: Chains = {}
    said: tuple[Message, ...] = ({"role": "user", "content": "hi"},)
    ill = Health(models={GPT: Standing(state="open", last_failure="server_error")})
    asks = (
        ({}, Health()),
        ({"total_timeout": 5.0}, Health()),
        ({"timeouts": Timeouts(idle=1.0)}, Health()),
        ({"policy": Policy(hedge=True)}, Health()),
        ({}, ill),
        ({}, Health()),
    )
    found = []
    for fields, health in asks:
        ask = Ask(id="0", messages=said, task="web_scraping", **fields)
        found.append(choose(ask, CONFIG, None, has_key=True, has_local=True, health=health, chains=chains))
        assert found[-1] == choose(ask, CONFIG, None, has_key=True, has_local=True, health=health)
    assert len(chains) == 1
    assert found[0] == found[-1]
    assert [found.index(one) for one in found] == [0, 1, 2, 3, 4, 0], "each of the others is another plan"


@pytest.mark.parametrize("params", [{}, {"plugins": [{"id": "web"}]}, {"transforms": []}])
@pytest.mark.parametrize("limits", [(), (None,), (300,), (9000, 300), (9000, None, 20_000)])
@pytest.mark.parametrize("route", ["openrouter", "local"])
def test_whom_a_short_prompt_fits(
    limits: tuple[int | None, ...], params: dict[str, Any], route: Literal["openrouter", "local"]
) -> None:
    """Nobody has to be looked at whom the room of all does not exclude, whatever the parameters."""
    chain = tuple(
        Candidate(
            model="a/b", name="", route=route, why="", info=Model(id="a/b", name="", context_length=one)
        )
        for one in limits
    )
    fits = min(room(chain), 100_000)
    for text in ("字 " * (int(fits) // 2), "a" * int(fits)):
        messages = ({"role": "user", "content": [{"type": "text", "text": text}]},)
        assert size(messages) <= room(chain)
        assert too_long(messages, chain, params) == []
    if route == "local" and any(limits):
        assert too_long(({"role": "user", "content": "a b " * int(fits)},), chain, params)


def test_the_size_is_that_of_all_texts() -> None:
    """Whatever else stands between them."""
    parts = ["odd", {"type": "text", "text": "four"}, {"type": "image_url"}, {"text": 5}]
    messages = ({"content": "six..."}, {"content": parts}, {"content": None}, {}, {"content": tuple(parts)})
    assert size(messages) == 6 + 4 + 4


def test_what_one_request_wishes_is_not_the_next_ones() -> None:
    """A plan that is passed on as it was worked out stays as it was."""
    chains: Chains = {}

    def chosen(**wish: Any) -> Plan:
        ask = Ask(id="0", messages=({"role": "user", "content": "hello"},), models=(HAIKU,), **wish)
        return choose(ask, CONFIG, None, has_key=True, has_local=False, chains=chains)

    first = chosen()
    assert chosen() is first
    assert chosen(total_timeout=3.0).timeouts.total == 3.0
    assert chosen(timeouts=Timeouts(idle=2.0)).timeouts.idle == 2.0
    assert chosen(policy=Policy(failover="restart")).policy.failover == "restart"
    assert chosen() == first
