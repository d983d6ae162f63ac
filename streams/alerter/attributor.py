"""Why it fires, beside the alert: asked of ClickHouse within a bound, so that a store that is away delays no alert.

The fold stays a function of the outcome log; what is found here is added to its events before they are published, and left
out where it is not there in time (docs/decisions/0020). `updated` events are asked for anew: by then more runs have failed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from clickhouse_connect.driver.client import Client

from schemas.alert import AlertEvent
from schemas.attribution import Attribution
from schemas.rule import Rule
from streams.console.errors import UserError
from streams.core.alerting import Emitted
from streams.settings import Settings
from streams.store.attribution import attribution_of
from streams.store.client import connect
from streams.store.errors import StoreUnavailable

ASKED_AT_ONCE = 4
EXPLAINED = ("firing", "updated")

log = logging.getLogger(__name__)


class Attributor:
    """Adds causes to events. One for all partitions of an alerter."""

    def __init__(
        self, settings: Settings, told: Callable[..., None] = lambda name, amount=1, **attributes: None
    ) -> None:
        """`told(name, amount, **attributes)` adds to a metric."""
        self._settings, self._told = settings, told
        self._threads = ThreadPoolExecutor(ASKED_AT_ONCE, "attributor")
        self._client: Client | None = None

    async def explain(self, emitted: Sequence[Emitted], rules: Mapping[str, Rule]) -> list[Emitted]:
        """The same events, those that fire with their causes where these are found within the bound of the settings."""
        within_s = self._settings.attribution_timeout_s
        events = [event for event in emitted if isinstance(event, AlertEvent) and event.type in EXPLAINED]
        if not events or not within_s:
            return list(emitted)
        loop = asyncio.get_running_loop()
        asked = {
            event.id: loop.run_in_executor(self._threads, self._ask, event, rules.get(event.rule.uid))
            for event in events
        }
        _, late = await asyncio.wait(asked.values(), timeout=within_s)
        for each in late:
            each.cancel()  # one that waits for a thread; one that runs ends by its own bound
        if late:
            self._told("stepwatch.alert.attributions", len(late), outcome="late")
        found = {id_: future.result() for id_, future in asked.items() if future not in late}
        return [
            event._replace(attribution=found.get(event.id)) if isinstance(event, AlertEvent) else event
            for event in emitted
        ]

    def _ask(self, event: AlertEvent, rule: Rule | None) -> Attribution | None:
        began = time.monotonic()
        try:
            if self._client is None:
                self._client = connect(self._settings)
            found = attribution_of(self._client, event, rule)
        except (StoreUnavailable, UserError) as error:
            log.warning("%s fires without its cause: %s", event.id, error)
            self._told("stepwatch.alert.attributions", outcome="away")
            return None
        except Exception:  # a bug here must not keep an alert back
            log.exception("%s fires without its cause", event.id)
            self._told("stepwatch.alert.attributions", outcome="error")
            return None
        self._told("stepwatch.alert.attributions", outcome="found" if found.causes else "nothing")
        self._told("stepwatch.alert.attribution.duration", time.monotonic() - began)
        return found
