"""What a model answers, known to the last character before the first is sent; a pure function of seed and request.

The text follows from the seed and the user's turns alone, not from the model: every model of a chain would say the
same, so that the seam of a continuation can be proven against `full_text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, get_args

from msgspec import Struct

from ..shapes import Answer, Call, Counts, Model, Piece
from . import language as words
from . import notes, picture, schema, thought, toolcalls
from .conversation import Turns, read, tail

Manner: TypeAlias = Literal["echo", "repeat", "paraphrase", "greet", "drop_space", "plain"]
"""How a model goes on with a broken answer: as asked; repeating without being asked; in other words;
with a greeting; with the space at the seam lost; without the echo that was asked for."""
MANNERS: tuple[Manner, ...] = get_args(Manner)

_SHORTEST, _LONGEST = 40, 200
_REPEATED = 8
_NATIVE: Mapping[str, Mapping[str, str]] = {
    "end_turn": {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
    "STOP": {"length": "MAX_TOKENS", "content_filter": "SAFETY", "error": "MALFORMED_FUNCTION_CALL"},
    "completed": {"length": "max_output_tokens", "tool_calls": "completed"},
}
"""Makers' own words for finish reasons, by their word for a normal end; others say what OpenRouter says."""
_BROKEN = frozenset({"length", "content_filter", "error"})
_SENTENCE = re.compile(r"[^.!?\n]{20,}[.!?]")


class _Text(Struct, frozen=True):
    """The visible words, and how they end."""

    tokens: list[str]
    stop: str = ""
    """The stop string that ended them."""


def compose(call: Call, model: Model, seed: str) -> Answer:
    """What the model answers. A broken answer among the messages is gone on with, as they ask."""
    return _composed(call, model, seed, "echo")


def continuation(call: Call, model: Model, seed: str, manner: Manner) -> Answer:
    """The same, but a broken answer is gone on with in this manner, asked for or not."""
    return _composed(call, model, seed, manner)


def full_text(call: Call, model: Model, seed: str) -> str:
    """The whole text that answers the user's turns, whatever the assistant has said of it already.

    The model matters in one case only: where it knows no `response_format`, that is ignored.
    """
    return _full(call, model, read(call.messages), _key(call, seed))


def _key(call: Call, seed: str) -> str:
    return seed if call.seed is None else f"{seed}/{call.seed}"


def _composed(call: Call, model: Model, seed: str, manner: Manner) -> Answer:
    key = _key(call, seed)
    turns = _turns(call, model, key)
    prompt = words.prompt_tokens(call.messages, call.tools)
    limit = _limit(call, model, prompt)
    calls = toolcalls.pieces(toolcalls.chosen(call, model, turns, key), model, turns, key)
    tool_id = calls[0].data["id"] if calls and calls[0].data else ""
    thoughts = (
        [] if turns.prefilled else thought.pieces(call, model, turns.asked, limit, key + turns.key, tool_id)
    )
    text = _lead(call, turns, key) if calls else _told(call, model, turns, key, manner, limit)
    kind: Literal["refusal", "content"] = "refusal" if turns.asked.refusal and not calls else "content"
    pieces = [*thoughts, *(Piece(kind, token, 1) for token in text.tokens), *calls]
    if not text.tokens and not calls:
        pieces.append(Piece("content", "", 1))  # an empty answer costs the token that ends it
    pieces, fits = _within(pieces, limit)
    finish = "length" if not fits else "tool_calls" if calls else "stop"
    if fits and not calls:
        pieces += _extras(call, model, pieces, key + turns.key, limit)
    if turns.asked.finish in _BROKEN:
        finish = turns.asked.finish or finish
    return Answer(
        pieces=tuple(pieces),
        finish_reason=finish,
        native_finish_reason=_native(model, finish, text.stop),
        counts=_counts(call, prompt, pieces),
        stop_sequence=text.stop if finish == "stop" else "",
        notes=_notes(call, model, turns, bool(calls)),
    )


def _notes(call: Call, model: Model, turns: Turns, calls: bool) -> tuple[str, ...]:
    if turns.asked == words.Directives() and not turns.misread:
        return ()
    return notes.unheard(call, model, turns, calls=calls, is_json=_json(call, model, turns, "") is not None)


def _turns(call: Call, model: Model, key: str) -> Turns:
    turns = read(call.messages)
    if turns.partial is None or turns.prefilled:
        return turns
    if turns.partial.rstrip() != _full(call, model, turns, key).rstrip():
        return turns
    return read(call.messages, fresh=True)  # nothing is left of it: "go on" means a further answer


def _counts(call: Call, prompt: int, pieces: Iterable[Piece]) -> Counts:
    spent = {"reasoning": 0, "image": 0}
    total = 0
    for piece in pieces:
        total += piece.tokens
        if piece.kind in spent:
            spent[piece.kind] += piece.tokens
    return Counts(
        prompt=prompt,
        completion=total,
        reasoning=spent["reasoning"],
        images=spent["image"],
        web_searches=int("web" in call.plugins),
        input_images=words.parts_of(call.messages, "image_url"),
    )


def _limit(call: Call, model: Model, prompt: int) -> int:
    room = max(1, model.context_length - prompt) if model.context_length else words.MOST_WORDS
    asked = call.max_tokens if call.max_tokens is not None else room
    return min(asked, room, model.max_completion_tokens or room)


def _native(model: Model, finish: str, stop: str) -> str:
    if finish == "stop":
        return "stop_sequence" if stop and model.native_stop == "end_turn" else model.native_stop
    own = _NATIVE.get(model.native_stop, {})
    return own.get(finish, model.native_stop if finish == "tool_calls" and own else finish)


def _full(call: Call, model: Model, turns: Turns, key: str) -> str:
    asked = turns.asked
    chance = words.stream("text", key, turns.key)
    if asked.refusal is not None:
        return asked.refusal
    if asked.say is not None:
        return asked.say
    if (value := _json(call, model, turns, key)) is not None:
        return value
    if asked.words is not None:
        return words.exactly(chance, asked.words)
    if asked.tokens is not None:
        return words.trimmed(words.prose(chance, asked.tokens), asked.tokens)
    return words.prose(chance, chance.randint(_SHORTEST, _LONGEST - 30))


def _json(call: Call, model: Model, turns: Turns, key: str) -> str | None:
    """The answer as JSON, where it is asked for and the model can."""
    wanted = call.response_format or {}
    if not {"response_format", "structured_outputs"} & model.parameters:
        return None
    if wanted.get("type") == "json_schema":
        told = wanted.get("json_schema") or {}
        return json.dumps(schema.sample(told.get("schema") or {}, key, turns.key), ensure_ascii=False)
    if wanted.get("type") == "json_object":
        chance = words.stream("json", key, turns.key)
        value = {
            "answer": words.sentence(chance),
            "certain": chance.random() < 0.5,
            "rank": chance.randint(1, 9),
        }
        return json.dumps(value, ensure_ascii=False)
    return None


def _told(call: Call, model: Model, turns: Turns, key: str, manner: Manner, limit: int) -> _Text:
    """The text of this answer: the whole one or its rest, cut where a stop string or a directive says.

    More than `limit` tokens are not looked at: a directive may hold megabytes.
    """
    text = _full(call, model, turns, key)
    if turns.partial is not None:
        text = _rest(text, turns, key, manner)
    places = [(text.find(stop), stop) for stop in call.stop if stop and stop in text]
    cut, stop = min(places, default=(len(text), ""))
    tokens = words.split(text[: min(cut, words.LONGEST_TOKEN * (limit + 1))])
    if turns.asked.finish in _BROKEN and turns.asked.say is None and len(tokens) > 1:
        tokens = tokens[: len(tokens) // 2]
    return _Text(tokens, stop)


def _lead(call: Call, turns: Turns, key: str) -> _Text:
    """What is said before a call: mostly nothing."""
    chance = words.stream("lead", key, turns.key)
    free = call.tool_choice in (None, "auto")
    return _Text(words.split(words.sentence(chance)) if free and chance.random() < 0.3 else [])


def _rest(full: str, turns: Turns, key: str, manner: Manner) -> str:
    partial = turns.partial or ""
    chance = words.stream("rest", key, turns.key, partial)
    if full.startswith(partial):
        rest = full[len(partial) :]
    else:  # somebody else's words: go on with words of our own
        rest = ("" if partial[-1:].isspace() else " ") + words.prose(
            chance, chance.randint(_SHORTEST, _LONGEST // 2)
        )
    again = turns.echo or tail(partial, _REPEATED)
    if manner == "repeat":
        return again + rest
    if manner == "paraphrase":
        return words.altered(again.rstrip(), chance) + again[len(again.rstrip()) :] + rest
    if manner == "greet":
        return "Sure! Here is the rest: " + turns.echo + rest
    if manner == "drop_space":
        return _joined_badly(turns.echo, rest)
    return (turns.echo if manner == "echo" else "") + rest


def _joined_badly(echo: str, rest: str) -> str:
    """Without the space at the seam, or without the first one after it, where the seam has none."""
    if echo != (bare := echo.rstrip()):
        return bare + rest
    return echo + (rest.lstrip() if rest[:1].isspace() else rest.replace(" ", "", 1))


def _within(pieces: Iterable[Piece], limit: int) -> tuple[list[Piece], bool]:
    """The pieces that `limit` tokens hold, and whether that is all of them."""
    kept: list[Piece] = []
    for piece in pieces:
        limit -= piece.tokens
        if limit < 0:
            return kept, False
        kept.append(piece)
    return kept, True


def _extras(call: Call, model: Model, pieces: list[Piece], key: str, limit: int) -> list[Piece]:
    """What is no text: citations after a search, a picture where one is asked for and still fits."""
    text = "".join(piece.text for piece in pieces if piece.kind == "content")
    told = [Piece("annotation", data=note) for note in _citations(text, key)] if "web" in call.plugins else []
    wanted = "image" in call.modalities and "image" in model.output_modalities
    if wanted and sum(piece.tokens for piece in pieces) + picture.TOKENS <= limit:
        shown = {"type": "image_url", "image_url": {"url": picture.url(words.stream("picture", key))}}
        told.append(Piece("image", "", picture.TOKENS, shown))
    return told


def _citations(text: str, key: str) -> list[dict[str, Any]]:
    """Up to three sentences of the text, each with a page where it could have been read."""
    chance = words.stream("citations", key)
    found = list(_SENTENCE.finditer(text))
    picked = sorted(chance.sample(range(len(found)), min(3, len(found))))
    return [_citation(found[place], number) for number, place in enumerate(picked, 1)]


def _citation(found: re.Match[str], number: int) -> dict[str, Any]:
    blanks = len(found[0]) - len(found[0].lstrip())
    return {
        "type": "url_citation",
        "url_citation": {
            "url": f"https://example.com/source/{number}",
            "title": f"Source {number}",
            "content": found[0].strip(),
            "start_index": found.start() + blanks,
            "end_index": found.end(),
        },
    }
