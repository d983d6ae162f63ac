"""A real Kafka broker on the loopback address: KRaft, one node, run from the fetched jars without any installation.

"Ready" is a metadata answer that names one unfenced broker, not an open port. The data is formatted once; the first
clean stop on a Java that can do so writes an ahead-of-time cache beside the jars, which halves every later start.
"""

import asyncio
import base64
import os
import shutil
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streams.console.errors import UserError
from streams.local.java import Java
from streams.local.process import Child, last_words, listens, spawn, until_ready

TEMPLATES = Path(__file__).parents[2] / "infra" / "kafka"
JVM_FLAGS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
LOGGING = "-Dlog4j2.configurationFile=log4j2.properties"
READY_TIMEOUT_S = 90.0
STOP_GRACE_S = 20.0  # 2.5 s, and some 5 s more when the ahead-of-time cache is written
JAVA_SIGTERM_EXIT = 143  # what a JVM answers to SIGTERM after its shutdown hooks ran
ANSWER_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Broker:
    """How to run the broker of one data folder. `home` holds its configuration and its data."""

    home: Path
    log: Path
    java: Java
    jars: tuple[Path, ...]
    port: int
    controller_port: int
    options: Mapping[str, str] = field(default_factory=dict)  # server.properties of a test, over the template

    async def start(self) -> Child:
        """Format on the first start, then start. Returns at once; `wait_ready` tells when it serves."""
        self._write_configuration()
        if not (self.home / "data" / "meta.properties").exists():
            await self._format()
        return await spawn(self._command("kafka.Kafka", *self._aot_flags()), self.log, cwd=self.home)

    async def wait_ready(self, child: Child) -> None:
        """Return when the broker answers for itself. Raises `UserError` when it ends or takes too long."""

        async def ours_serves() -> bool:
            return await serves(self.port) and listens(child, self.port)

        await until_ready(child, ours_serves, "the Kafka broker", READY_TIMEOUT_S)

    def _write_configuration(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        text = (TEMPLATES / "server.properties").read_text(encoding="utf-8")
        text += "".join(f"{key}={value}\n" for key, value in self.options.items())
        text = text.replace("@PORT@", str(self.port)).replace("@CONTROLLER_PORT@", str(self.controller_port))
        (self.home / "server.properties").write_text(text, encoding="utf-8")
        shutil.copyfile(TEMPLATES / "log4j2.properties", self.home / "log4j2.properties")

    async def _format(self) -> None:
        # An interrupted format leaves a folder without meta.properties and nothing worth keeping.
        shutil.rmtree(self.home / "data", ignore_errors=True)
        arguments = ("format", "--standalone", "-t", cluster_id(), "-c", "server.properties", "--ignore-formatted")
        child = await spawn(
            [*self._command("kafka.tools.StorageTool", config=False), *arguments], self.log, cwd=self.home
        )
        try:
            code = await child.process.wait()
        finally:
            child.kill_group()
        if code != 0:
            raise UserError(
                f"the Kafka broker's data folder could not be formatted: {last_words(self.log)} ({self.log})"
            )

    def _command(self, main: str, *flags: str, config: bool = True) -> list[str]:
        class_path = os.pathsep.join(str(jar) for jar in self.jars)
        command = [str(self.java.path), *JVM_FLAGS, LOGGING, *flags, "-cp", class_path, main]
        return [*command, "server.properties"] if config else command

    def keep_start_cache(self, exit_code: int) -> None:
        """After a stop: keep the ahead-of-time cache if the broker ended cleanly, and so wrote it whole."""
        written, cache = self._aot_written, self._aot_cache
        if exit_code == JAVA_SIGTERM_EXIT and written.exists():
            written.replace(cache)
        written.unlink(missing_ok=True)

    @property
    def _aot_cache(self) -> Path:
        return self.jars[0].parent / f"broker-java{self.java.version}.aot"

    @property
    def _aot_written(self) -> Path:
        return self.jars[0].parent / f"{self._aot_cache.name}.{os.getpid()}.part"

    def _aot_flags(self) -> tuple[str, ...]:
        if not self.java.has_aot_cache:
            return ()
        quiet = ("-Xlog:aot=off", "-Xlog:aot*=off")
        if self._aot_cache.exists():
            return (f"-XX:AOTCache={self._aot_cache}", *quiet)
        return (f"-XX:AOTCacheOutput={self._aot_written}", *quiet)


def cluster_id() -> str:
    """A new cluster id as Kafka wants it: 16 bytes in URL-safe base64, not starting with a dash."""
    while True:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not name.startswith("-"):
            return name


async def serves(port: int) -> bool:
    """Whether a broker at this loopback port knows at least one live broker: itself."""
    try:
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(metadata_request())
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                answer = await reader.readexactly(min(length, ANSWER_BYTES_MAX))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, struct.error):
        return False
    return live_brokers(answer) >= 1


def metadata_request() -> bytes:
    """A Metadata request, version 1, for no topics: only the brokers are wanted."""
    body = struct.pack(">hhih", 3, 1, 7, 1) + b"w" + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def live_brokers(answer: bytes) -> int:
    """The number of brokers in a Metadata answer, version 1: fenced ones are not listed."""
    return int(struct.unpack_from(">i", answer, 4)[0]) if len(answer) >= 8 else 0
