"""The sending half of a courier over a list for a log: what is settled how, and in which company."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.target import Target
from schemas.targets import parse_targets
from streams.delivery.attempts import Attempts
from streams.delivery.backlog import Backlog
from streams.delivery.entry import Word
from streams.delivery.gate import FAILURES_MAX
from streams.delivery.message import Message
from streams.delivery.senders import Sender
from streams.delivery.verdict import OK, Answer
from tests.delivery.events import series

DEADLINE_S = 10.0


class ListLog:
    """The delivery log in memory."""

    def __init__(self) -> None:
        self.words: list[tuple[Word, str, int]] = []
        self.letters: list[tuple[str, str]] = []
        self.since: list[float] = []

    async def write(self, word: Word, target: str, message: Message, attempts: int, at_s: float | None = None) -> None:
        self.words.append((word, message.alert_key, attempts))
        if at_s is not None:
            self.since.append(at_s)

    async def bury(self, record: Any, target: str, reason: str) -> None:
        self.letters.append((record.alert_key, reason))

    @property
    def settled(self) -> list[tuple[Word, str, int]]:
        return [word for word in self.words if word[0] != "trying"]


class Scripted(Sender):
    """Answers as a function of what it is asked; keeps what that was."""

    def __init__(self, answer: Callable[[Sequence[Message]], Answer], together: tuple[int, int] = (0, 1)) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []
        self.together_from, self.together_max = together

    async def send(self, messages: Sequence[Message]) -> Answer:
        self.asked.append([message.alert_key for message in messages])
        return self.answer(messages)


def target(kind: str = "webhook", retry: str = "{first: 1ms, most: 5ms, give_up_after: 1h}") -> Target:
    places = {
        "webhook": 'webhook: {url: "https://h/", secrets: ["${ENV:S}"]}',
        "slack": 'slack: {url: "${ENV:S}"}',
    }
    text = f"targets: [{{name: a, {places[kind]}, rate_per_s: 1000, retry: {retry}}}]\nroutes: [{{to: [a]}}]"
    return parse_targets(text, "t.yaml").targets[0]


@asynccontextmanager
async def attempting(
    to: Target, sender: Sender, messages: Sequence[Message]
) -> AsyncIterator[tuple[Attempts, ListLog]]:
    log = ListLog()
    attempts = Attempts(to, sender, log)
    backlog = Backlog(0, {})
    for offset, message in enumerate(messages):
        backlog.admit(message._replace(offset=offset), time.time())
    attempts.begin(0, backlog)
    running = asyncio.create_task(attempts.run())
    try:
        yield attempts, log
    finally:
        running.cancel()
        await attempts.answered(DEADLINE_S)
        await asyncio.gather(running, return_exceptions=True)


async def settle(attempts: Attempts) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while attempts.waiting:
            await asyncio.sleep(0.005)


def failing(n: int, answer: Answer) -> Callable[[Sequence[Message]], Answer]:
    left = iter([answer] * n)
    return lambda _: next(left, OK)


async def test_what_passes_by_itself_is_tried_again_and_said_once_to_be_tried() -> None:
    sender = Scripted(failing(3, Answer(status=500)))
    async with attempting(target(), sender, [series("a", 1), series("a", 2)]) as (attempts, log):
        await settle(attempts)
    assert log.words == [("trying", "a", 1), ("delivered", "a", 4), ("delivered", "a", 1)]
    assert not log.letters


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Answer(status=400, detail="invalid_blocks"), "refused: status 400: invalid_blocks")],
)
async def test_what_is_refused_for_ever_is_a_dead_letter_and_the_next_is_tried(answer: Answer, reason: str) -> None:
    sender = Scripted(failing(1, answer))
    async with attempting(target("slack"), sender, [series("a", 1), series("a", 2)]) as (attempts, log):
        await settle(attempts)
    assert log.letters == [("a", reason)]
    assert log.settled == [("dead", "a", 1), ("delivered", "a", 1)]


async def test_who_is_gone_is_asked_no_more_and_all_events_are_dead_letters() -> None:
    sender = Scripted(lambda _: Answer(status=410))
    async with attempting(target(), sender, [series("a", seq) for seq in range(1, 6)]) as (attempts, log):
        await settle(attempts)
    assert len(sender.asked) == 1
    assert len(log.letters) == 5
    assert all("410" in reason for _, reason in log.letters)


async def test_one_bad_event_among_many_costs_its_companions_nothing() -> None:
    """Refused together, they are sent one by one; only the bad one is a dead letter."""

    def answer(messages: Sequence[Message]) -> Answer:
        return Answer(status=400) if any(m.alert_key == "bad" for m in messages) else OK

    keys = ["bad", *(f"k{n}" for n in range(5))]
    sender = Scripted(answer, together=(3, 20))
    async with attempting(target("slack"), sender, [series(key) for key in keys]) as (attempts, log):
        await settle(attempts)
    assert len(sender.asked[0]) == 6
    assert all(len(asked) == 1 for asked in sender.asked[1:])
    assert [key for key, _ in log.letters] == ["bad"]
    assert {key for word, key, _ in log.settled if word == "delivered"} == set(keys) - {"bad"}


async def test_few_events_are_sent_one_by_one() -> None:
    sender = Scripted(lambda _: OK, together=(3, 20))
    async with attempting(target("slack"), sender, [series("a"), series("b"), series("c")]) as (attempts, _):
        await settle(attempts)
    assert sender.asked == [["a"], ["b"], ["c"]]


async def test_an_event_that_cannot_be_rendered_is_a_dead_letter_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(messages: Sequence[Message]) -> Answer:
        if messages[0].alert_key == "odd":
            raise KeyError("workflow")
        return OK

    async with attempting(target("slack"), Scripted(answer), [series("odd"), series("a")]) as (attempts, log):
        await settle(attempts)
    assert [key for key, _ in log.letters] == ["odd"]
    assert ("delivered", "a", 1) in log.settled
    assert "cannot be rendered" in caplog.text


async def test_who_does_not_answer_for_too_long_loses_what_waited_without_being_asked_for_each() -> None:
    retry = "{first: 1ms, most: 5ms, give_up_after: 100ms}"
    sender = Scripted(lambda _: Answer(failure="timeout"))
    messages = [series(f"k{n}", seq) for n in range(10) for seq in (1, 2, 3)]
    async with attempting(target(retry=retry), sender, messages) as (attempts, log):
        await settle(attempts)
    assert len(log.letters) == 30
    assert len(sender.asked) <= FAILURES_MAX + 3  # those that were open when the breaker opened
    assert all("timeout" in reason for _, reason in log.letters)
