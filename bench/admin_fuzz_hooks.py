"""What schemathesis is told by scripts/fuzz-admin: the key by which it comes in is not to be changed by what it does."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

OWN = os.environ["FUZZ_ADMIN_NAME"]


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Somebody else is meant."""
    if (case.path_parameters or {}).get("name") == OWN:
        case.path_parameters["name"] = "somebody-else"
