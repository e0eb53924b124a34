"""The seam on a real model: the local one at temperature 0, its connection cut at random places by a real proxy.

    scripts/seams-local [--cuts N] [--seed S] [--way prefill|echo] [--home DIR]

Prints the share of cuts after which the joined answer equals the uninterrupted one, and explains each difference by
the tokens that the model saw. Exits with 1 where a difference has no explanation, or no answer came. `--home`: where
the weights are (`byte local install`).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import select
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from bytedeck import ByteError, Hub
from bytedeck.io.local import MODEL_ID, Local
from bytedeck.io.wire import Endpoint

PROMPTS = (
    "Tell me in two sentences what a river is.",
    "Say in one sentence why the sky is blue.",
    "Say in one sentence what bees make.",
    "Say in one sentence how bread is made.",
    "Was ist ein Fluss? Antworte in einem Satz.",
)
MOST = 200  # tokens: a reference that has not ended by itself by then is not used

# By how much a word can be turned because sums were made in another order. The model's numbers have four bits.
NOISE = 0.5


class Proxy:
    """Passes bytes on; the request after an `arm` has its connection cut after so many bytes of what the server says."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_armed = False
        self._after: int | None = None
        self.passed = 0
        """Bytes from the server since that request."""
        self.cuts = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def arm(self, after: int | None) -> None:
        """Cut the next request's answer after so many bytes; None: only count them."""
        self._is_armed, self._after = True, after

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        left: int | None = None
        with client, socket.create_connection(self._target) as server, contextlib.suppress(OSError):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if not (data := ready.recv(65536)):
                        return
                    if ready is client:
                        if self._is_armed:
                            self._is_armed, left, self.passed = False, self._after, 0
                        server.sendall(data)
                        continue
                    # Counted first: whoever has read them may ask at once how many there were.
                    self.passed += len(data[:left])
                    client.sendall(data[:left])
                    left = None if left is None else left - len(data)
                    if left is not None and left <= 0:
                        self._cut(client)
                        return

    def _cut(self, client: socket.socket) -> None:
        """As a network does it: what was sent arrives, then the line is dead."""
        self.cuts += 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self._listener.close()


class Token(NamedTuple):
    id: int
    text: str
    lead: float
    """By how much it was likelier than the next one, in nats."""


class Server:
    """The model's own server, asked directly: what it says uninterrupted, and how it cuts text into tokens."""

    def __init__(self, base_url: str, key: str) -> None:
        self._root, self._key = base_url.removesuffix("/v1"), key

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = urllib.request.Request(self._root + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def generated(self, messages: Sequence[dict[str, Any]]) -> list[Token]:
        """The tokens of the uninterrupted answer."""
        asked = {"messages": list(messages), "temperature": 0, "max_tokens": MOST}
        found = self._post(
            "/v1/chat/completions", asked | {"logprobs": True, "top_logprobs": 2, "cache_prompt": False}
        )
        return [_token(one) for one in found["choices"][0]["logprobs"]["content"]]

    def prompt(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The tokens that the model sees of a conversation."""
        text = self._post("/apply-template", {"messages": list(messages)})["prompt"]
        return list(self._post("/tokenize", {"content": text, "parse_special": True})["tokens"])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self._post("/detokenize", {"tokens": [one]})["content"] for one in ids]


def _token(told: dict[str, Any]) -> Token:
    ranked = sorted((one["logprob"] for one in told["top_logprobs"]), reverse=True)
    return Token(told["id"], told["token"], ranked[0] - ranked[1] if len(ranked) > 1 else float("inf"))


class Case(NamedTuple):
    """A prompt and its uninterrupted answer."""

    messages: list[dict[str, Any]]
    text: str
    tokens: list[Token]
    size: int
    """Bytes of the answer on the wire."""


class Run(NamedTuple):
    """What came of one cut."""

    place: int
    kind: str
    """Of the seam; "retry" where nothing had been shown, "whole" where all had come, or the code of an error."""
    after: int
    """Characters that had been shown."""
    text: str
    ok: bool
    """Whether the answer came, and the stream's own events, followed, give its text."""


def ask(hub: Hub, messages: list[dict[str, Any]]) -> tuple[str, Any]:
    """The text as a reader would have it who follows the events, and the reply or the error."""
    text = ""
    try:
        # Without its cache of prompts, which lets earlier requests change how later ones are calculated.
        with hub.stream(messages, model=MODEL_ID, temperature=0, cache_prompt=False) as stream:
            for delta in stream:
                erase = getattr(delta.event, "erase", 0)
                text = text[: len(text) - erase] + delta.text
            return text, stream.reply
    except ByteError as error:
        return text, error


def cut(hub: Hub, proxy: Proxy, case: Case, place: int) -> Run:
    proxy.arm(place)
    text, found = ask(hub, case.messages)
    proxy.arm(None)
    if isinstance(found, ByteError):
        return Run(place, found.code, len(text), text, False)
    (seam,) = found.seams or (None,)
    # Without a seam nothing had been shown; or all had come, and only the stream's end was cut off.
    kind = seam.kind if seam else "retry" if len(found.attempts) > 1 else "whole"
    return Run(place, kind, seam.after if seam else 0, text, found.text == text and found.whole)


def why(server: Server, case: Case, run: Run, way: str) -> str:
    """Why the joined answer differs from the uninterrupted one; "" where nothing explains it."""
    said = case.text[: run.after]
    at = next(n for n in range(len(case.text) + 1) if case.text[: n + 1] != run.text[: n + 1])
    choice = _choice(case.tokens, at)
    if at < run.after or run.kind in ("retry", "whole"):
        return choice and f"not at the seam, the model itself was not twice the same: {choice}"
    if "".join(run.text.split()) == "".join(case.text.split()):
        return ""  # blanks lost or doubled at the seam: the model is not to blame
    if way == "echo":
        return "asked to repeat its last words and to go on, the model saw another conversation"
    before = server.prompt(case.messages)
    seen = server.prompt([*case.messages, {"role": "assistant", "content": said.rstrip()}])
    written = before + [one.id for one in case.tokens]
    same = next(
        (n for n, (one, other) in enumerate(zip(seen, written, strict=False)) if one != other), len(seen)
    )
    if same < len(seen):
        place = same - len(before)
        theirs = server.pieces(seen[same:])
        ours = [one.text for one in case.tokens[place : place + len(theirs) + 1]]
        return f"token borders moved: written as {ours}, read as {theirs}"
    return choice and f"the same tokens, read at once and not one by one: {choice}"


def _choice(tokens: Sequence[Token], at: int) -> str:
    """Where the answers part: by how little the model preferred its word. "" where arithmetic cannot have turned that."""
    end = 0
    for one in tokens:
        end += len(one.text)
        if end > at:
            told = f"at {one.text!r} the next best word was {one.lead:.3f} nats behind"
            return told if one.lead <= NOISE else ""
    return ""


def cases(hub: Hub, proxy: Proxy, server: Server) -> list[Case]:
    """The prompts whose answers end by themselves, and come twice alike."""
    found = []
    for prompt in PROMPTS:
        messages = [{"role": "user", "content": prompt}]
        tokens = server.generated(messages)
        if len(tokens) >= MOST:
            print(f"not used, it does not end: {prompt}", file=sys.stderr)
            continue
        proxy.arm(None)
        text, reply = ask(hub, messages)
        size = proxy.passed
        again, _ = ask(hub, messages)
        if isinstance(reply, ByteError) or text != again:
            print(f"not used, it is not the same twice: {prompt}", file=sys.stderr)
            continue
        found.append(Case(messages, text, tokens, size))
    return found


@contextlib.contextmanager
def detour(hub: Hub, local: Local) -> Any:
    """The hub's way to the local model leads through a proxy; gives the proxy and the server behind it."""
    served = local.start()
    parts = urlsplit(served.base_url)
    proxy = Proxy((parts.hostname or "", parts.port or 0))
    # Its server ends each stream's connection without having said so: a new one each time.
    key = (("authorization", f"Bearer {served.api_key}"), ("connection", "close"))
    hub.house.__dict__["local"] = local
    place = Endpoint(f"http://127.0.0.1:{proxy.port}/v1", key, is_here=True)
    hub.house.endpoint = lambda route, config=None: place  # type: ignore[method-assign]
    try:
        yield proxy, Server(served.base_url, served.api_key)
    finally:
        proxy.close()


def differs(server: Server, case: Case, run: Run, way: str = "prefill") -> str:
    """What is to be said of a cut; "" where the joined answer is the uninterrupted one. Capitals: it is wrong."""
    where = f"byte {run.place}, {run.kind} after {run.after} characters: "
    if not run.ok:
        return f"WRONG {where}no answer, or another than its events tell"
    if run.text == case.text:
        return ""
    reason = why(server, case, run, way)
    if reason:
        return f"{where}{reason}"
    return f"NOT EXPLAINED {where}{case.text[: run.after][-20:]!r} + {run.text[run.after :][:20]!r}"


def trial(hub: Hub, proxy: Proxy, server: Server, cuts: int, chance: random.Random, way: str) -> int:
    """Cut so often, and print what there is to say as it comes. Returns the exit code."""
    known = cases(hub, proxy, server)
    if not known:
        print("no prompt gave an answer to compare with", file=sys.stderr)
        return 2
    print(f"{len(known)} prompts, answers of {', '.join(str(len(case.text)) for case in known)} characters")
    began = time.monotonic()
    kinds: collections.Counter[str] = collections.Counter()
    told = []
    for turn in range(cuts):
        case = known[turn % len(known)]
        run = cut(hub, proxy, case, chance.randrange(1, case.size))
        kinds[run.kind] += 1
        if said := differs(server, case, run, way):
            print(f"  {said}", flush=True)
            told.append(said)
    equal = cuts - len(told)
    print(
        f"{cuts} cuts in {time.monotonic() - began:.0f} s: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}"
    )
    print(f"equal to the uninterrupted answer: {equal} of {cuts} ({equal / max(1, cuts):.0%})")
    return int(any(said[:3].isupper() for said in told))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", choices=("prefill", "echo"), default="prefill")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Hub(home=folder, database_url="memory:", api_key="") as hub:
        from bytedeck.config import load

        local = Local(options.home or load({**os.environ}).home)
        if not (status := local.status()).ready:
            print(f"{status.reason} Run: byte local install", file=sys.stderr)
            return 2
        way = {**hub.house.config.prefill, MODEL_ID: options.way == "prefill"}
        hub.house.config = msgspec.structs.replace(hub.house.config, prefill=way)
        try:
            with detour(hub, local) as (proxy, server):
                return trial(hub, proxy, server, options.cuts, random.Random(options.seed), options.way)
        finally:
            local.stop()


if __name__ == "__main__":
    sys.exit(main())
