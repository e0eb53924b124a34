"""Requests that are passed through, embeddings and rerank: the upstream's own status and body, or an error of ours in
the form of chat completions where it gave none."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from ..errors import ByteError, InvalidRequest
from ..relay import Parcel
from ..types import Delta, Reply
from .body import brief, object_of
from .call import Call, Identity
from .load import Answer
from .parts import encode, error_of


class Passed:
    """`Skin` of one request: it is made with what is passed through."""

    heartbeat = b""

    def __init__(self, path: str, body: bytes) -> None:
        self.parcel = Parcel(path=path, body=body)

    def read(self, body: bytes) -> Call:
        """Only the model is looked at. Raises InvalidRequest."""
        fields = object_of(body)
        model = fields.pop("model", None)
        if not isinstance(model, str) or not model:
            what = "missing" if model is None else brief(model)
            raise InvalidRequest(f"model is {what}, and has to be a model's name.")
        return Call(messages=(), models=(model,), params=fields)

    def whole(self, call: Call, reply: Reply, identity: Identity) -> bytes:
        """The upstream's own body."""
        return self.parcel.returned.body

    def teller(self, call: Call, identity: Identity) -> NoReturn:
        """Nothing is streamed here."""
        raise InvalidRequest("This is not streamed.")

    def refusal(self, error: ByteError, identity: Identity) -> bytes:
        """The upstream's own words, where it is what refuses, and has any that clients of an API can read."""
        told = self.parcel.returned.body if isinstance(error, _AsTold) else b""
        return told if _is_json(told) else encode({"error": error_of(error)})


def _is_json(body: bytes) -> bool:
    """Whether it is: what stands before an upstream may refuse with a page of the web."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


class Told:
    """An answer whose errors have the status that the upstream gave."""

    def __init__(self, drive: Answer, parcel: Parcel) -> None:
        self._drive, self._parcel = drive, parcel

    @property
    def result(self) -> Reply:
        return self._drive.result

    async def advance(self) -> list[Delta] | None:
        try:
            return await self._drive.advance()
        except ByteError as error:
            if self._parcel.returned.status:
                raise _AsTold(error, self._parcel.returned.status) from error
            raise

    def leave(self) -> None:
        self._drive.leave()


class _AsTold(ByteError):
    """The same error, with the upstream's own status."""

    def __init__(self, error: ByteError, status: int) -> None:
        super().__init__(
            error.message,
            code=error.code,
            detail=error.detail,
            status=status,
            retry_after=error.retry_after,
            provider=error.provider,
            reply=error.reply,
            hint=error.hint,
        )

    @property
    def http_status(self) -> int:
        return self.status or super().http_status
