"""Embeddings and rerank: equal texts are equal, similar ones near, and the better document comes first."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse
from openrouter import operations

from bytedeck.simulator.shapes import Call, Refusal
from bytedeck.simulator.words import embed
from said import PLAIN, call

MODEL = msgspec.structs.replace(PLAIN, id="openai/text-embedding-3-small")


def asked(**body: Any) -> Call:
    """A request with this body."""
    return call(skin="embeddings", body=body)


def vectors(**body: Any) -> list[list[float]]:
    """The vectors of the answer."""
    told, _ = embed.embeddings(asked(**body), MODEL, "seed")
    return [each["embedding"] for each in told["data"]]


def near(one: list[float], two: list[float]) -> float:
    """The cosine of the angle between them."""
    return sum(a * b for a, b in zip(one, two, strict=True))


def test_vectors_have_length_one_and_the_models_dimensions() -> None:
    """Or those that were asked for."""
    (usual,) = vectors(input="the quiet river")
    (short,) = vectors(input="the quiet river", dimensions=64)
    large = msgspec.structs.replace(PLAIN, id="openai/text-embedding-3-large")
    told, _ = embed.embeddings(asked(input="a"), large, "seed")
    assert [len(usual), len(short), len(told["data"][0]["embedding"])] == [1_536, 64, 3_072]
    assert math.hypot(*usual) == pytest.approx(1, abs=1e-5)
    assert math.hypot(*short) == pytest.approx(1, abs=1e-5)


def test_equal_texts_are_equal_and_similar_ones_near() -> None:
    """Nearer than others; and another seed turns everything."""
    one, again, similar, other = vectors(
        input=[
            "the cat sits on the mat",
            "the cat sits on the mat",
            "two cats sit on a mat",
            "quarterly revenue grew 4 %",
        ]
    )
    assert one == again
    assert near(one, similar) > near(one, other) + 0.2
    elsewhere, _ = embed.embeddings(asked(input="the cat sits on the mat"), MODEL, "another")
    assert elsewhere["data"][0]["embedding"] != one


def test_base64_is_the_same_numbers() -> None:
    """As 32-bit floats, little-endian."""
    (plain,) = vectors(input="river", dimensions=32)
    told, _ = embed.embeddings(asked(input="river", dimensions=32, encoding_format="base64"), MODEL, "seed")
    packed = base64.b64decode(told["data"][0]["embedding"])
    assert list(struct.unpack("<32f", packed)) == pytest.approx(plain, abs=1e-7)


@pytest.mark.parametrize(
    ("given", "number", "tokens"),
    [
        ("one two", 1, 2),
        (["one", "two words"], 2, 3),
        ([1, 2, 3], 1, 3),
        ([[1, 2], [3]], 2, 3),
        ([{"content": [{"type": "text", "text": "one"}]}], 1, 1),
        ([{"content": [{"type": "image_url", "image_url": {"url": "data:"}}]}], 1, 258),
        ("…", 1, 1),
    ],
)
def test_every_kind_of_input_is_counted(given: Any, number: int, tokens: int) -> None:
    """Text, texts, tokens, lists of tokens, parts."""
    told, counts = embed.embeddings(asked(input=given), MODEL, "seed")
    assert [each["index"] for each in told["data"]] == list(range(number))
    assert (counts.prompt, counts.completion) == (tokens, 0)
    assert told["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": ""},
        {"input": []},
        {"input": [""]},
        {"input": [[]]},
        {"input": "a", "dimensions": 99_999},
    ],
)
def test_an_empty_input_is_refused(body: dict[str, Any]) -> None:
    """With 400."""
    with pytest.raises(Refusal) as refused:
        embed.embeddings(asked(**body), MODEL, "seed")
    assert (refused.value.status, refused.value.error_type) == (400, "invalid_request")


def test_the_sdks_read_embeddings_and_rerank() -> None:
    """Both official ones that know them."""
    told, _ = embed.embeddings(asked(input=["a", "b"]), MODEL, "seed")
    assert len(CreateEmbeddingResponse.model_validate(told).data) == 2
    assert len(operations.CreateEmbeddingsResponseBody.model_validate(told).data) == 2
    ranked, _ = embed.rerank(asked(query="a", documents=["a"]), PLAIN, "seed")
    assert operations.CreateRerankResponseBody.model_validate(ranked).results[0].index == 0


DOCUMENTS: list[Any] = [
    "Bread is baked early",
    "The river meets the harbour",
    {"text": "A harbour"},
    {"image": "https://example.com/a.png"},
]


def test_the_better_document_comes_first() -> None:
    """By the query's words; each document is told as an object."""
    told, counts = embed.rerank(asked(query="river harbour", documents=DOCUMENTS), PLAIN, "seed")
    scores = [each["relevance_score"] for each in told["results"]]
    assert [each["index"] for each in told["results"]][:2] == [1, 2]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert told["results"][0]["document"] == {"text": "The river meets the harbour"}
    assert {"image": "https://example.com/a.png"} in [each["document"] for each in told["results"]]
    assert told["usage"] == {"search_units": 1, "total_tokens": counts.prompt}
    assert told == embed.rerank(asked(query="river harbour", documents=DOCUMENTS), PLAIN, "seed")[0]


def test_only_so_many_as_were_asked_for() -> None:
    """`top_n`; a unit is a hundred documents."""
    told, _ = embed.rerank(asked(query="a", documents=["a"] * 101, top_n=2), PLAIN, "seed")
    assert len(told["results"]) == 2
    assert told["usage"]["search_units"] == 2


def test_no_documents_are_refused() -> None:
    """With 400."""
    with pytest.raises(Refusal):
        embed.rerank(asked(query="a", documents=[]), PLAIN, "seed")
