"""A real ClickHouse server out of the chdb-core wheel: `python -m streams.local.clickhouse_server DATA HTTP_PORT
[TCP_PORT]`.

The wheel's extension holds clickhouse-local with the server's own HTTP and native-TCP handlers, and answers SYSTEM
START LISTEN. This process owns DATA, loads the bare extension (never `chdb/__init__`, which would import pandas and
open a probe connection), and stays in one query which reads a FIFO until we close its writing end: SIGTERM does so,
open queries are drained, and the process exits 0. It listens on 127.0.0.1 only, because `file()` reads what the user
of the system may read.
"""

import fcntl
import importlib.util
import os
import signal
import socket
import sys
import sysconfig
import threading
import types
import urllib.request
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

READY_TIMEOUT_S = 60.0
READY_POLL_S = 0.02
DRAIN_TIMEOUT_S = 15.0
MEMORY_BYTES_MAX = 4_000_000_000
FIFO = "stop.fifo"
WAIT_FOR_FIFO = (
    "SELECT * FROM file('stop.fifo', LineAsString, 'l String') FORMAT Null SETTINGS storage_file_read_method='read'"
)

CONFIG = """<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http}</http_port>
  <tcp_port>{tcp}</tcp_port>
  <logger>
    <level>warning</level><log>{run}/clickhouse.log</log><errorlog>{run}/clickhouse.err.log</errorlog>
    <size>20M</size><count>2</count>
  </logger>
  <users_config>{run}/users.xml</users_config>
  <user_directories>
    <users_xml><path>{run}/users.xml</path></users_xml>
    <local_directory><path>{store}/access/</path></local_directory>
  </user_directories>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>268435456</mark_cache_size>
  <query_log>
    <database>system</database><table>query_log</table><flush_interval_milliseconds>2000</flush_interval_milliseconds>
    <ttl>event_date + INTERVAL 3 DAY</ttl>
  </query_log>
  <part_log>
    <database>system</database><table>part_log</table><flush_interval_milliseconds>2000</flush_interval_milliseconds>
    <ttl>event_date + INTERVAL 3 DAY</ttl>
  </part_log>
  <backups><allowed_path>{store}/backups/</allowed_path></backups>
</clickhouse>
"""

USERS = """<clickhouse>
  <!-- Read when the server starts. Yours to edit: it is written once and never overwritten. -->
  <profiles>
    <default/>
    <readonly><readonly>2</readonly><max_execution_time>30</max_execution_time></readonly>
  </profiles>
  <users>
    <default>
      <password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
      <access_management>1</access_management><named_collection_control>1</named_collection_control>
    </default>
    <stepwatch_reader>
      <password/><networks><ip>127.0.0.1</ip></networks><profile>readonly</profile><quota>default</quota>
      <!-- Tables only: without grants a reader could read files of this account with file(). -->
      <grants><query>GRANT SELECT ON *.*</query><query>GRANT SHOW ON *.*</query></grants>
    </stepwatch_reader>
  </users>
  <quotas><default/></quotas>
</clickhouse>
"""


class EmbeddedServer:
    """The engine in a thread of this process. Once per process: clickhouse-local cannot be started twice."""

    def __init__(self, data: Path, http_port: int, tcp_port: int = 0) -> None:
        self.store, self.run, self.http_port, self.tcp_port = data / "store", data / "run", http_port, tcp_port
        self.error = ""
        self._stop = threading.Event()
        self._engine = threading.Thread(target=self._serve, name="clickhouse", daemon=True)
        self._writer = -1

    def start(self) -> None:
        """Write the configuration and start the engine, which reads `config.xml` from the current folder."""
        self._write_configuration()
        os.chdir(self.run)
        self._writer = os.open(FIFO, os.O_RDWR)  # held, so that the reading query waits
        self._engine.start()

    def wait_ready(self) -> bool:
        """Whether the server answers a ping before the engine ends or time is up."""
        for _ in range(int(READY_TIMEOUT_S / READY_POLL_S)):
            if not self._engine.is_alive():
                return False
            if self._answers():
                return True
            self._engine.join(READY_POLL_S)
        return False

    def request_stop(self, *_: object) -> None:
        """Signal handler: the main thread drains and ends."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    def wait(self) -> None:
        """Serve until a stop is requested or the engine ends by itself."""
        while self._engine.is_alive() and not self._stop.wait(0.5):
            pass

    def stop(self) -> bool:
        """Close the FIFO, so that the query ends and the engine shuts down. Whether it did so in time."""
        os.write(self._writer, b"stop\n")
        os.close(self._writer)
        self._engine.join(DRAIN_TIMEOUT_S)
        return not self._engine.is_alive()

    def _serve(self) -> None:
        listen = "SYSTEM START LISTEN HTTP; " + ("SYSTEM START LISTEN TCP; " if self.tcp_port else "")
        try:
            result = load_engine().query(listen + WAIT_FOR_FIFO, "TSV", path=str(self.store))
            self.error = result.error_message() if result.has_error() else ""
        except Exception as error:
            self.error = str(error)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/ping", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _write_configuration(self) -> None:
        for folder in (self.run, self.store / "access", self.store / "backups"):
            folder.mkdir(parents=True, exist_ok=True)
        paths = {"run": escape(str(self.run)), "store": escape(str(self.store))}
        config = CONFIG.format(http=self.http_port, tcp=self.tcp_port, memory=MEMORY_BYTES_MAX, **paths)
        (self.run / "config.xml").write_text(config, encoding="utf-8")
        if not (self.run / "users.xml").exists():
            (self.run / "users.xml").write_text(USERS, encoding="utf-8")
        if not (self.run / FIFO).exists():
            os.mkfifo(self.run / FIFO)


def load_engine() -> Any:
    """The wheel's extension alone, under the name it expects."""
    library = Path(sysconfig.get_path("platlib")) / "chdb" / "_chdb.abi3.so"
    package = types.ModuleType("chdb")
    package.__path__ = [str(library.parent)]
    sys.modules["chdb"] = package
    spec = importlib.util.spec_from_file_location("chdb._chdb", library)
    if spec is None or spec.loader is None or not library.exists():
        raise RuntimeError("the chdb-core wheel is not installed: pip install 'stepwatch[local]'")
    module = importlib.util.module_from_spec(spec)
    sys.modules["chdb._chdb"] = module
    spec.loader.exec_module(module)
    return module


def own(data: Path) -> int | None:
    """Lock the data folder for the life of this process; None when another process has it. Kept open on purpose."""
    data.mkdir(parents=True, exist_ok=True)
    lock = os.open(data / "owner.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def is_taken(port: int) -> bool:
    """Whether something listens there. Asked first: the engine's own complaint goes to its log, not to its caller."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def obstacle(data: Path, ports: list[int]) -> str | None:
    """The sentence for what prevents a start, if anything does. Locks the data folder."""
    if own(data) is None:
        return f"error: another ClickHouse process owns {data}: stop it first (stepwatch down)"
    taken = [port for port in ports if port and is_taken(port)]
    return f"error: port {taken[0]} is taken: choose another one for ClickHouse" if taken else None


def serve(data: Path, http_port: int, tcp_port: int) -> int:
    """Run the server until SIGTERM or SIGINT. Returns the exit code: 0 after a clean stop."""
    blocked = obstacle(data, [http_port, tcp_port])
    if blocked:
        say(blocked)
        return 1
    server = EmbeddedServer(data, http_port, tcp_port)
    catch_signals(server)
    server.start()
    if not server.wait_ready():
        say(f"error: the embedded ClickHouse did not start {server.error}; see the lines above and {server.run}")
        return 1
    catch_signals(server)  # the engine may have set its own
    say(f"ready on 127.0.0.1:{http_port}")
    return finish(server)


def finish(server: EmbeddedServer) -> int:
    """Serve, then stop; the exit code."""
    server.wait()
    if not server.stopping:
        say(f"error: the embedded ClickHouse ended by itself {server.error}")
        return 1
    clean = server.stop()
    say("stopped" if clean else "error: open queries did not end in time")
    return 0 if clean else 1


def catch_signals(server: EmbeddedServer) -> None:
    """SIGTERM and SIGINT ask for a clean stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.request_stop)


def say(line: str) -> None:
    """This process' output is its log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Read the arguments and serve."""
    if len(arguments) not in (2, 3) or not all(port.isdigit() for port in arguments[1:]):
        say("usage: python -m streams.local.clickhouse_server DATA HTTP_PORT [TCP_PORT]")
        return 2
    ports = [int(port) for port in arguments[1:]]
    return serve(Path(arguments[0]).resolve(), ports[0], ports[1] if len(ports) > 1 else 0)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the extension's static destructors are not safe after its engine has ended
