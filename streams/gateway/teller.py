"""Tells the store what the gateway's account says: a word every few seconds, and a last one at a clean stop.

The law: no request waits for it, and none fails by it. A word that the store did not take is said again as it was, and only then
the next, so that each counts once; what a killed gateway had not said is unknown, and bounded by `WORD_S`.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from schemas.ledger import GatewayRow
from streams.console.errors import UserError
from streams.failpoint import Failpoint
from streams.gateway.account import Account
from streams.settings import Settings
from streams.store.errors import StoreError

WORD_S = 5.0
ID_BYTES = 8

logger = logging.getLogger(__name__)

Write = Callable[[Sequence[GatewayRow]], None]  # raises StoreError or UserError; the same rows may come again


class Teller:
    """One gateway's words, from a thread of its own. `start` first, `stop` when nothing is counted any more."""

    def __init__(self, account: Account, topic: str, write: Write, *, word_s: float = WORD_S) -> None:
        self._account, self._topic, self._write, self._word_s = account, topic, write, word_s
        self.gateway, self._started_ms = secrets.token_hex(ID_BYTES), _now_ms()
        self._seq = 0
        self._word: list[GatewayRow] = []  # said, and not taken yet
        self._unheard, self._heard_s = False, time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._tell_all, name="gateway ledger", daemon=True)

    def start(self) -> None:
        """Begin to speak."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Say the last word; whether the store has it. Blocks for so long at most."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._word

    def tell(self, *, is_last: bool = False) -> bool:
        """Say what was not heard before, then what is new; whether all was heard."""
        heard = not self._word or self._say()
        if heard:
            self._word = self._next(is_last)
            heard = self._say()
        return heard

    def silence_s(self) -> float:
        """Since the store last took a word."""
        return time.monotonic() - self._heard_s

    def _tell_all(self) -> None:
        while not self._stopping.is_set():
            self.tell()
            self._stopping.wait(self._word_s)
        self.tell(is_last=True)

    def _next(self, is_last: bool) -> list[GatewayRow]:
        head = self._topic, self.gateway, self._seq, self._started_ms, _now_ms(), int(is_last)
        self._seq += 1
        taken = self._account.take()
        return [
            GatewayRow(*head, "", "", "alive"),
            *(
                GatewayRow(*head, *fate, amount.first_offset, amount.last_offset, amount.n)
                for fate, amount in taken.items()
            ),
        ]

    def _say(self) -> bool:
        try:
            self._write(self._word)
        except (StoreError, UserError) as error:
            if not self._unheard:
                logger.warning("the gateway's ledger waits for the store, requests do not: %s", error)
            self._unheard = True
            return False
        self._word, self._unheard, self._heard_s = [], False, time.monotonic()
        return True


def store_writer(settings: Settings, failpoint: Failpoint) -> Write:
    """Writes to the store of the settings; connects when it is first there, and again after an error."""
    from streams.store.client import connect
    from streams.store.writer import Writer

    writers: list[Writer] = []

    def write(rows: Sequence[GatewayRow]) -> None:
        if not writers:
            writers.append(Writer(connect(settings)))
        try:
            with failpoint.around("gateway_ledger"):
                writers[0].write_gateway_ledger(rows)
        except StoreError:
            writers.clear()
            raise

    return write


def _now_ms() -> int:
    return int(time.time() * 1000)
