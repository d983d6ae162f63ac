"""The table of commands is true, and a command that is asked for is found without the modules of the others."""

import subprocess
import sys
from importlib import import_module

import pytest
import typer

from streams.console.main import COMMANDS, build


@pytest.mark.parametrize(("module", "names"), COMMANDS.items())
def test_a_module_registers_the_commands_that_the_table_says(module: str, names: tuple[str, ...]) -> None:
    app = typer.Typer(callback=lambda: None)
    import_module(f"streams.console.{module}").register(app)
    command = typer.main.get_command(app)
    assert tuple(command.commands) == names


def test_without_a_known_command_all_are_there() -> None:
    every = {name for names in COMMANDS.values() for name in names}
    for words in ([], ["--help"], ["no-such-command"]):
        assert set(typer.main.get_command(build(words)).commands) == every
    assert list(typer.main.get_command(build(["gateway", "--port", "1"])).commands) == ["gateway", "scorer", "alerter"]


def test_a_command_loads_nothing_of_the_others() -> None:
    program = "import sys; from streams.console.main import build; build(['config']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "streams.console.config" in loaded
    assert not {"aiohttp", "faust", "clickhouse_connect", "streams.console.alerts"} & set(loaded)
