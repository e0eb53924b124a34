"""Everything that one request can see of those before it: clock, money, limits, caches, journal, faults.

A world belongs to one loop; whoever wants another state gets a new one.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import cache
from typing import Any

from msgspec.structs import asdict

from .clock import Clock
from .errors import SimulatorError
from .faults import script
from .faults import table as faults
from .faults.script import Script
from .faults.table import Tally
from .journal import Journal
from .models import catalogue, ownmodels
from .money.accounts import ORDINARY, Account, Key
from .money.bank import Bank
from .money.cache import ResponseCache
from .money.limits import Limits
from .money.prefixes import PromptCache
from .pages.codes import Codes
from .settings import Settings
from .shapes import Call, Model, Refusal

DEFAULT_KEY = ORDINARY
"""The key of an account with plenty of credits."""
_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NOT_DATA = "[!d]*"
"""A glob over skins that leaves out "data": the weather of the settings is that of inference."""


@cache
def _catalogue() -> catalogue.Catalogue:
    """It never changes, so that all worlds can share it."""
    return catalogue.load(ownmodels.rows())


class World:
    """What there is, from the moment of its making on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(frozen=settings.frozen, at=settings.at)
        self.began = self.clock.now()
        self.catalogue = _catalogue()
        self.bank = Bank(self.catalogue, delay=settings.generation_delay)
        self.limits = Limits()
        self.prompts = PromptCache()
        self.responses = ResponseCache()
        self.codes = Codes(self.bank, settings.seed)
        self.journal = Journal(settings.journal)
        self.tally = Tally()
        self.script = Script(settings.seed, self._weather(), self.began)
        self._generations = 0

    def _weather(self) -> tuple[script.Entry, ...]:
        """The faults that the settings tell."""
        given = script.load(self.settings.script) if self.settings.script else ()
        if not self.settings.faults:
            return given
        try:
            faults.parse(self.settings.faults, where=faults.COMMAND)
        except Refusal as exc:
            raise SimulatorError(exc.message) from exc
        entry = {"fault": self.settings.faults, "rate": self.settings.rate, "skin": _NOT_DATA}
        return (*given, *script.entries([entry]))

    def next_id(self, now: float) -> str:
        """A generation's id: `gen-`, the second, 20 signs. The same in each run with the same seed and clock."""
        self._generations += 1
        digest = hashlib.sha256(f"{self.settings.seed}\ngeneration {self._generations}".encode()).digest()
        number, signs = int.from_bytes(digest), ""
        for _ in range(20):
            number, sign = divmod(number, len(_SIGNS))
            signs += _SIGNS[sign]
        return f"gen-{int(now)}-{signs}"

    def admit(self, key: Key, call: Call, model: Model, prompt_tokens: int, now: float) -> None:
        """Raise the Refusal of whatever forbids it: rules of the account, money, limits; money before limits (RL-07)."""
        self.catalogue.permit(model, self.bank.rules(key))
        self.bank.precheck(key, call, model, prompt_tokens, now)
        self.limits.admit(self.bank.account(key), model, now)

    def set_faults(self, told: Any) -> None:
        """A script in the old one's place; it begins now. Raises SimulatorError."""
        self.script = Script(self.settings.seed, script.entries(told), self.clock.now())
        self.tally = Tally()

    def add_faults(self, told: Any) -> None:
        """More entries, which begin now; those there stay as they are. Raises SimulatorError."""
        self.script.add(script.entries(told), self.clock.now())

    def accounts(self) -> list[dict[str, Any]]:
        """All accounts, amounts as Decimals."""
        return [
            {"id": one.id, "bought": one.bought, "used": one.used, "balance": one.balance}
            for one in self.bank.accounts.values()
        ]

    def keys(self) -> list[dict[str, Any]]:
        """All keys. They are no secrets: whoever may see this page may make more."""
        return [
            {
                "key": key.token,
                "name": key.name,
                "label": key.label,
                "account": key.account,
                "limit": key.limit,
                "remaining": self.bank.remaining(key, self.clock.now()),
                "usage": self.bank.credits(key).total,
                "disabled": key.disabled,
            }
            for key in self.bank.keys.values()
        ]

    def set_account(self, name: str, bought: Decimal | None, top_up: Decimal | None) -> None:
        """A new account with so many credits, or more credits for one that is there. Raises SimulatorError."""
        if top_up is None:
            self._made(lambda: self.bank.add_account(Account(id=name, bought=bought or Decimal(0))))
        elif name not in self.bank.accounts:
            raise SimulatorError(f"There is no account {name!r}.")
        else:
            self.bank.top_up(name, top_up)

    def set_key(self, token: str, fields: dict[str, Any]) -> None:
        """A new key, or other fields of one that is there. Raises SimulatorError."""
        if token in self.bank.keys:
            self._made(lambda: self.bank.change_key(token, **fields))
            return
        whole = {"name": token[-8:], "account": "sim"} | fields
        self._made(lambda: self.bank.add_key(Key(token=token, **whole)))

    @staticmethod
    def _made(make: Any) -> None:
        try:
            make()
        except ValueError as exc:
            raise SimulatorError(f"{exc}.") from exc

    def settings_told(self) -> dict[str, Any]:
        """The settings as JSON may show them."""
        return asdict(self.settings) | {"words_key": ""}
