"""The laptop stack: broker, ClickHouse, topics, schema, gateway, scorers and alerter as one thing that starts and
stops.

Used by `stepwatch up`, by the demonstration and by the integration tests. The law: whoever started it owns every
process in it; when the owner ends, by whatever signal, nothing stays behind. What lies in the data folder is there
again at the next start. A part whose address the user gave is used as it is, and nothing is downloaded or started for
it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streams.console.errors import UserError
from streams.local.background import run_in_background, together
from streams.local.broker import STOP_GRACE_S as BROKER_GRACE_S
from streams.local.broker import Broker
from streams.local.clickhouse import ClickHouse
from streams.local.disk import blame_disk, check_room, disk_sentence, until_full
from streams.local.jars import cache_dir, ensure_jars
from streams.local.java import find_java
from streams.local.parts import (
    STOP_GRACE_S,
    Accepts,
    ConsolePart,
    JoinedGroup,
    Readiness,
    environment_of,
    variables,
)
from streams.local.ports import Choice, PortClaims, PortsAsked, choose_all, pick_free
from streams.local.process import created_at
from streams.local.state import DataDirLock, PartState, StackState, read_state, write_state
from streams.local.supervise import Part, Report, RestartPolicy, Runner, State, pass_on
from streams.settings import Settings

PARTS = ("broker", "clickhouse", "gateway", "scorer", "alerter")
STORES = ("broker", "clickhouse")
STOP_ORDER = ("gateway", "scorer", "alerter", "clickhouse", "broker")
PORT_OF = {"broker": "kafka", "clickhouse": "clickhouse", "gateway": "gateway"}


def silent(part: str, state: State, detail: str) -> None:
    """A report that nobody reads."""


class LocalStack:
    """Start with `await stack.start()` (or `async with`), stop with `await stack.stop()`. One loop, one thread."""

    def __init__(
        self,
        data_dir: Path,
        settings: Settings | None = None,
        *,
        parts: Collection[str] = PARTS,
        ports: PortsAsked | None = None,
        scorers: int = 1,
        environment: Mapping[str, str] | None = None,
        broker_options: Mapping[str, str] | None = None,
        java: Path | None = None,
        policy: RestartPolicy | None = None,
        report: Report = silent,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.settings = settings if settings is not None else Settings()
        self.parts: dict[str, Part] = {}
        self._wanted, self._scorers = _external_removed(parts, self.settings), scorers
        self._external = [name for name in STORES if name in parts and name not in self._wanted]
        self._ports_asked, self._java = ports or PortsAsked(), java
        self._environment, self._broker_options = dict(environment or {}), dict(broker_options or {})
        self._policy, self._user_report = policy or RestartPolicy(), report
        self._lock, self._claims = DataDirLock(self.data_dir), PortClaims()
        self._ports: dict[str, int] = {}
        self._health_ports: dict[str, int] = {}  # of parts that serve nothing else: /readyz, /metrics
        self._failure: asyncio.Future[None] | None = None
        self._disk: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Start all parts; return when all serve. On any error or cancellation everything started is stopped again.

        Raises `UserError`: a stack runs there already, a port is taken, a download failed, a part ended.
        """
        self._lock.acquire()
        try:
            self._failure = asyncio.get_running_loop().create_future()
            check_room(self.data_dir)
            await self._start_all()
            self._disk = asyncio.create_task(until_full(self.data_dir), name="watch the disk")
            self._disk.add_done_callback(lambda task: pass_on(task, self._fail))
        except UserError as error:
            await self.stop()
            raise blame_disk(self.data_dir, error) from error
        except OSError as error:
            await self.stop()
            raise UserError(disk_sentence(self.data_dir, error)) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all parts, the gateway first, the broker last. Nothing is left when it returns."""
        if self._disk is not None:
            self._disk.cancel()
        try:
            for kind in STOP_ORDER:
                await asyncio.gather(*(part.stop() for part in self._of_kind(kind)))
        finally:
            for part in self.parts.values():
                part.kill_now()
            self._forget_processes()
            self._claims.release()
            self._lock.release()

    async def wait(self) -> None:
        """Return never; raise `UserError` when a part cannot be kept alive."""
        assert self._failure is not None, "wait() is for a stack that was started"
        try:
            await asyncio.shield(self._failure)
        except UserError as error:
            raise blame_disk(self.data_dir, error) from error

    async def start_part(self, name: str) -> None:
        """Start a stopped part and wait until it serves."""
        await self.parts[name].start(self._fail)

    async def stop_part(self, name: str) -> None:
        """Stop a part cleanly; it stays stopped until `start_part`."""
        await self.parts[name].stop()

    async def restart(self, name: str) -> None:
        """Stop a part cleanly and start it again."""
        await self.stop_part(name)
        await self.start_part(name)

    def kill(self, name: str, number: int = signal.SIGKILL, *, restarts: bool = True) -> None:
        """Signal a part, as a fault would. Without `restarts` it stays down until stop_part and start_part."""
        self.parts[name].restarts = restarts
        self.parts[name].kill(number)

    async def _start_all(self) -> None:
        self._choose_ports()
        for name in self._external:
            self._report(name, "external", self._address(name))
        if "broker" in self._wanted:
            broker = await self._broker()
            self.parts["broker"] = self._part("broker", broker, BROKER_GRACE_S, broker.keep_start_cache)
        if "clickhouse" in self._wanted:
            self.parts["clickhouse"] = self._part("clickhouse", self._clickhouse(), STOP_GRACE_S)
        await together(*(self.start_part(name) for name in list(self.parts)))
        own = [name for name in ("gateway", "scorer", "alerter") if name in self._wanted]
        if own:
            await self._prepare_stores()
            await together(*(self._start_own(name) for kind in own for name in self._names(kind)))

    async def _prepare_stores(self) -> None:
        """Topics and tables: what is there already is left alone."""
        from streams.store.migrate import migrate
        from streams.topics import ensure_topics

        await together(ensure_topics(self.settings), run_in_background(lambda _: migrate(self.settings)))

    async def _start_own(self, name: str) -> None:
        runner = self._console_part(name)
        self.parts[name] = self._part(name, runner, STOP_GRACE_S)
        await self.start_part(name)

    def _choose_ports(self) -> None:
        names = tuple(PORT_OF[part] for part in PORT_OF if part in self._wanted)
        remembered = read_state(self.data_dir).ports
        chosen = choose_all(self._ports_asked, remembered, names, self._claims.take)
        self._ports = {**remembered, **{name: choice.port for name, choice in chosen.items()}}
        self._tell_notes(chosen)
        update: dict[str, Any] = {"data_dir": self.data_dir}
        if "kafka" in chosen:
            update["bootstrap_servers"] = f"127.0.0.1:{self._ports['kafka']}"
        if "clickhouse" in chosen:
            update["clickhouse_url"] = f"http://127.0.0.1:{self._ports['clickhouse']}"
        if "gateway" in chosen:
            update["gateway_port"] = self._ports["gateway"]
        self.settings = self.settings.model_copy(update=update)

    def _tell_notes(self, chosen: Mapping[str, Choice]) -> None:
        for part, port in PORT_OF.items():
            if port in chosen and chosen[port].note:
                self._report(part, "starting", chosen[port].note)

    async def _broker(self) -> Broker:
        java = find_java(self._java)
        folder = cache_dir(self.data_dir)
        jars = await run_in_background(
            lambda tell: ensure_jars(folder, tell), lambda text: self._report("broker", "fetching", text)
        )
        return Broker(
            home=self.data_dir / "kafka",
            log=self._log("broker"),
            java=java,
            jars=tuple(jars),
            port=self._ports["kafka"],
            controller_port=pick_free(set(self._ports.values()), self._claims.take),
            options=self._broker_options,
        )

    def _clickhouse(self) -> ClickHouse:
        return ClickHouse(self.data_dir / "clickhouse", self._log("clickhouse"), self._ports["clickhouse"])

    def _console_part(self, name: str) -> ConsolePart:
        kind = name.split("-")[0]
        environment = environment_of(self.settings, self._environment)
        if name not in PORT_OF:  # the gateway has its own
            self._health_ports[name] = pick_free(
                {*self._ports.values(), *self._health_ports.values()}, self._claims.take
            )
            environment["STEPWATCH_HEALTH_PORT"] = str(self._health_ports[name])
        return ConsolePart(kind, self._log(name), environment, self._readiness(kind))

    def _readiness(self, kind: str) -> Readiness:
        if kind == "scorer":
            return JoinedGroup(self.settings, self.settings.scorer_group, self._scorers)
        if kind == "alerter":
            return JoinedGroup(self.settings, self.settings.alerter_group, 1)
        return Accepts(self.settings.gateway_host, self.settings.gateway_port)

    def _part(
        self, name: str, runner: Runner, grace_s: float, on_stopped: Callable[[int], None] = lambda exit_code: None
    ) -> Part:
        address, policy = self._address(name), self._policy
        return Part(name, runner, address, self._report, policy=policy, grace_s=grace_s, on_stopped=on_stopped)

    def _names(self, kind: str) -> list[str]:
        count = self._scorers if kind == "scorer" else 1
        return [kind, *(f"{kind}-{number}" for number in range(2, count + 1))]

    def _of_kind(self, kind: str) -> list[Part]:
        return [part for name, part in self.parts.items() if name.split("-")[0] == kind]

    def _address(self, name: str) -> str:
        gateway = f"http://{self.settings.gateway_host}:{self.settings.gateway_port}"
        addresses = {"broker": self.settings.bootstrap_servers, "clickhouse": self.settings.clickhouse_url}
        health = {part: f"http://127.0.0.1:{port}" for part, port in self._health_ports.items()}
        return {**addresses, "gateway": gateway, **health}.get(name, "")

    def _log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def _report(self, part: str, state: State, detail: str) -> None:
        self._write_state()
        self._user_report(part, state, detail)

    def _write_state(self) -> None:
        parts = {name: _seen(part) for name, part in self.parts.items()}
        parts |= {name: PartState(state="external", address=self._address(name)) for name in self._external}
        state = StackState(
            owner=os.getpid(),
            owner_created_at=created_at(os.getpid()) or 0.0,
            ports=self._ports,
            parts=parts,
            settings=variables(self.settings, secrets=False),
        )
        with contextlib.suppress(OSError):  # a full disk must not keep a part from being restarted or stopped
            write_state(self.data_dir, state)

    def _forget_processes(self) -> None:
        with contextlib.suppress(OSError):
            write_state(self.data_dir, StackState(ports=self._ports or read_state(self.data_dir).ports))

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # marked as seen: stop() may come before anybody waits


def _external_removed(parts: Collection[str], settings: Settings) -> set[str]:
    """The parts to start: a store whose address was given is the user's own."""
    unknown = set(parts) - set(PARTS)
    assert not unknown, f"no such parts: {unknown}"
    given = {"broker": "bootstrap_servers", "clickhouse": "clickhouse_url"}
    return {name for name in parts if given.get(name) not in settings.model_fields_set}


def _seen(part: Part) -> PartState:
    child = part.child
    return PartState(
        state=part.state,
        address=part.address,
        pid=child.pid if child else None,
        created_at=child.created_at if child else 0.0,
        since=part.since,
        log=str(child.log) if child else "",
    )
