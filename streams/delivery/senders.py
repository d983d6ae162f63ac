"""How each kind of target is asked: the list of them, and the thin hulls around their renderers."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from schemas.alert import AlertEvent
from schemas.target import Alertmanager, File, PagerDuty, Slack, Target, Webhook
from streams.delivery import alertmanager, pagerduty, slack, webhook
from streams.delivery.file import append
from streams.delivery.http import HttpClient
from streams.delivery.message import Message, Request
from streams.delivery.secrets import Secrets
from streams.delivery.verdict import Answer

log = logging.getLogger(__name__)
Render = Callable[[Sequence[Message], float], Request]


class Sender:
    """One target. `send` takes more than one event only when more than `together_from` wait."""

    together_from = 0
    together_max = 1

    async def send(self, messages: Sequence[Message]) -> Answer:
        """Ask once, for all of these events."""
        raise NotImplementedError

    async def close(self) -> None:
        """Disconnect."""


class HttpSender(Sender):
    """A POST an event."""

    def __init__(self, client: HttpClient, render: Render, together_from: int = 0, together_max: int = 1) -> None:
        self._client, self._render = client, render
        self.together_from, self.together_max = together_from, together_max

    async def send(self, messages: Sequence[Message]) -> Answer:
        """Render and post."""
        return await self._client.post(self._render(messages, time.time()))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


class FileSender(Sender):
    """A line an event."""

    together_max = 500

    def __init__(self, path: str) -> None:
        self._path = path

    async def send(self, messages: Sequence[Message]) -> Answer:
        """Append the lines."""
        return await append(self._path, b"".join(message.document() + b"\n" for message in messages))


class AlertmanagerSender(Sender):
    """A POST an event, and again each minute while it is to stand."""

    def __init__(self, client: HttpClient, url: str, bearer: str | None) -> None:
        self._client, self._url, self._bearer = client, url, bearer
        self._live: dict[int, alertmanager.Live] = {}  # by partition of the alerts topic

    async def send(self, messages: Sequence[Message]) -> Answer:
        """Tell it of a change."""
        (message,) = messages
        live = self._live.setdefault(message.partition, alertmanager.Live())
        answer = await self._tell(live.alerts(message.event, int(time.time() * 1000)))
        if answer.status and 200 <= answer.status < 300:
            live.delivered(message.event)
        return answer

    def begin(self, partition: int, told: Iterable[AlertEvent]) -> None:
        """From now on this partition's alerts are ours to repeat; these it was told already."""
        self._live[partition] = alertmanager.Live(told)

    def end(self, partition: int) -> None:
        """They are another process's."""
        self._live.pop(partition, None)

    def repeats(self) -> list[list[dict[str, object]]]:
        """All that must be told again now, in requests."""
        now_ms = int(time.time() * 1000)
        return [alerts for live in self._live.values() for alerts in live.repeated(now_ms)]

    async def tell(self, alerts: list[dict[str, object]]) -> Answer:
        """One request of `repeats`."""
        return await self._tell(alerts)

    async def _tell(self, alerts: list[dict[str, object]]) -> Answer:
        return await self._client.post(alertmanager.request(alerts, self._url, self._bearer))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


def sender_of(target: Target, secrets: Secrets) -> Sender:
    """The sender of a target whose secrets are known."""
    client = HttpClient(target.allow, target.timeout_s, secrets.all())
    match target.destination:
        case Webhook(url, refs, bearer):
            keys = tuple(webhook.read_key(secrets.of(ref)) for ref in refs)
            address, token = secrets.of(url), secrets.maybe(bearer)
            return HttpSender(client, lambda m, now_s: webhook.request(m[0], address, keys, token, int(now_s)))
        case Slack(ref):
            address = secrets.of(ref)
            return HttpSender(client, lambda m, _: slack.request(m, address), slack.TOGETHER_FROM, slack.TOGETHER_MAX)
        case PagerDuty(ref, address):
            key = secrets.of(ref)
            return HttpSender(client, lambda m, _: pagerduty.request(m[0], address, key))
        case Alertmanager(url, bearer):
            return AlertmanagerSender(client, secrets.of(url), secrets.maybe(bearer))
        case File(path):
            return FileSender(path)
