"""What a call has come to, as an event of the match.

`began` is written before anything is sent; `ended` where the call gave an answer, `failed` where it raised an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import TABLE, ByteError
from ...types import Attempt, Reply
from ..events import (
    CommentBegan,
    CommentEnded,
    Ended,
    Event,
    JudgeBegan,
    JudgeEnded,
    JudgeFailed,
    TurnBegan,
    TurnEnded,
    TurnFailed,
)
from ..judges import judging
from ..types import Fighter
from . import ratable
from .referee import Assess, Referee, Speak, Step

NONSENSE = "nonsense"
"""The code of a verdict that cannot be read."""
_LONGEST_MESSAGE = 500


def began(referee: Referee, step: Step, request: str) -> Event:
    """A call is about to be made under this request's id."""
    rules = referee.match.rules
    if isinstance(step, Speak):
        return TurnBegan(turn=step.turn, phase=step.phase, request=request)
    if isinstance(step, Assess):
        return JudgeBegan(look=step.look, judge=rules.judges[step.look.judge], request=request)
    return CommentBegan(model=rules.commentator, request=request)


def ended(referee: Referee, step: Step, reply: Reply) -> Event:
    """What an answer means: a turn without a word is no turn, and a verdict that cannot be read is none."""
    if isinstance(step, Speak):
        return _turn(referee, step, reply)
    if isinstance(step, Assess):
        return _verdict(referee, step, reply)
    return CommentEnded(
        request=reply.id, text=reply.text, model=reply.requested_model, cost_units=cost(reply.attempts)
    )


def failed(referee: Referee, step: Step, request: str, error: ByteError) -> Event:
    """What an error means. What there was of the answer is dropped, what it cost is not."""
    return _failure(referee, step, request, error.code, said(error), cost(error.attempts))


def said(error: ByteError) -> str:
    """An error's sentence, with the upstream's own words where it has any, as long as an event takes it."""
    theirs = f" It said: {error.detail}" if error.detail else ""
    return f"{error}{theirs}"[:_LONGEST_MESSAGE]


def stopped(referee: Referee, why: str) -> Ended:
    """Somebody has ended the match before its time."""
    return Ended(end="stopped", is_rated=False, why=why, cost_units=referee.spent_units)


def cost(attempts: Sequence[Attempt]) -> int | None:
    """What is known of the cost, units of 10⁻¹² USD; None where nothing is."""
    known = [one.cost_units for one in attempts if one.cost_units is not None]
    return sum(known) if known else None


def _turn(referee: Referee, step: Speak, reply: Reply) -> Event:
    spent = cost(reply.attempts)
    if not reply.text.strip():
        code = "content_filtered" if reply.refusal else "empty_answer"
        return _failure(referee, step, reply.id, code, reply.refusal or TABLE[code].sentence, spent)
    fighter = referee.match.fighters[step.turn.fighter]
    model = reply.requested_model or ratable.sent(fighter)
    why_void = _why_void(referee, fighter, reply)
    answered = [one for one in reply.attempts if one.outcome == "answered"]
    return TurnEnded(
        turn=step.turn,
        request=reply.id,
        text=reply.text,
        model=model,
        finish_reason=reply.finish_reason,
        completion_tokens=answered[-1].completion_tokens if answered else None,
        cost_units=spent,
        seconds=reply.seconds,
        first_token=reply.first_token,
        is_void=bool(why_void),
        why_void=why_void,
    )


def _why_void(referee: Referee, fighter: Fighter, reply: Reply) -> str:
    """Why a turn rates nobody; "" where it does."""
    restarts = [place for place, seam in enumerate(reply.seams) if seam.kind == "restart"]
    kept = reply.seams[restarts[-1] + 1 :] if restarts else reply.seams
    if any(seam.from_model != seam.to_model for seam in kept):
        return f"{kept[-1].to_model} went on with what {kept[0].from_model} had begun."
    if referee.match.rules.fallback == "spoke" or reply.requested_model in ("", ratable.sent(fighter)):
        return ""
    return f"{reply.requested_model} spoke in its place."


def _verdict(referee: Referee, step: Assess, reply: Reply) -> Event:
    spent = cost(reply.attempts)
    try:
        verdict = judging.read(reply.text, referee.match, step.look)
    except ValueError as exc:
        return _failure(referee, step, reply.id, NONSENSE, str(exc), spent)
    return JudgeEnded(
        look=step.look,
        judge=referee.match.rules.judges[step.look.judge],
        request=reply.id,
        verdict=verdict,
        model=reply.requested_model,
        cost_units=spent,
    )


def _failure(
    referee: Referee, step: Step, request: str, code: str, message: str, cost_units: int | None
) -> Event:
    message = message[:_LONGEST_MESSAGE]
    if isinstance(step, Speak):
        return TurnFailed(turn=step.turn, request=request, code=code, message=message, cost_units=cost_units)
    if isinstance(step, Assess):
        return JudgeFailed(
            look=step.look,
            judge=referee.match.rules.judges[step.look.judge],
            request=request,
            code=code,
            message=message,
            is_out=step.look.again,
            cost_units=cost_units,
        )
    return CommentEnded(request=request, text="", message=message, cost_units=cost_units)
