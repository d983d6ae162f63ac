"""Every command of the README and the docs is run, as it stands there, against a stack that is up."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from streams.local.ports import ANY, PortsAsked
from streams.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLLOWS = ("alerts tail",)  # run until the reader has seen enough
FOLLOWED_S = 8.0
ELSEWHERE = {
    "make chaos": "tests/integration/test_chaos.py, with ten kills",
    "python -m tests.simulator": "tests/simulator/test_simulator.py plays it",
    "make instrumentors": "downloads packages: run by hand, what they exported is tests/instrumentors/goldens",
    "make demo": "tests/integration/test_demo.py plays it faster; that the target is there is tested below",
    "make test": "runs the tests, these among them",
    "stepwatch up": "tests/integration/test_stack_console.py; its Ctrl-C: tests/integration/test_interrupt.py",
    "stepwatch down": "tests/integration/test_stack_console.py",
    "stepwatch gateway": "the stack runs it",
    "stepwatch scorer": "the stack runs it",
    "stepwatch alerter": "the stack runs it",
    "stepwatch demo": "as make demo",
    "stepwatch deliver --targets": "tests/integration/test_deliver.py, with targets of its own",
}

pytestmark = pytest.mark.integration


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every line in every `sh` block; continued lines are joined, comments left out."""
    for page in PAGES:
        for block in FENCE.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+#.*$", "", line).strip()
                if command and not command.startswith(("#", "export ", "source ")):
                    yield page.relative_to(ROOT).as_posix(), command


COMMANDS = list(dict.fromkeys(commands()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("documented stack")
    async with LocalStack(folder, ports=PortsAsked(ANY, ANY, ANY)) as running:
        yield running


def environment(stack: LocalStack) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("STEPWATCH_")}
    scripts = str(Path(sys.executable).parent)
    return {
        **given,
        "PATH": f"{scripts}{os.pathsep}{given.get('PATH', '')}",
        "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
        "STEPWATCH_CLICKHOUSE_URL": stack.settings.clickhouse_url,
        "STEPWATCH_GATEWAY_PORT": str(stack.settings.gateway_port),
        "STEPWATCH_DATA_DIR": str(stack.settings.data_dir),
    }


def is_elsewhere(command: str) -> bool:
    """Commands that start a stack, or are this run."""
    return any(command == known or command.startswith(known + " ") for known in ELSEWHERE)


def test_there_are_commands_to_run() -> None:
    assert sum(not is_elsewhere(command) for _, command in COMMANDS) >= 5


def test_every_make_target_that_is_named_exists() -> None:
    for _, command in COMMANDS:
        if command.startswith("make "):
            subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_command_works(stack: LocalStack, tmp_path: Path) -> None:
    for name in ("infra", "docs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)  # commands name files of the checkout and may write beside them
    for page, command in COMMANDS:
        if is_elsewhere(command) or command.startswith("make "):
            continue
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            cwd=tmp_path,
            env=environment(stack),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        follows = any(word in command for word in FOLLOWS)
        try:
            said, _ = await asyncio.wait_for(process.communicate(), FOLLOWED_S if follows else 60)
        except TimeoutError:
            process.terminate()
            await process.wait()
            assert follows, f"{page}: `{command}` does not end"
            continue
        assert process.returncode == 0, f"{page}: `{command}` ended with {process.returncode}:\n{said.decode()}"
