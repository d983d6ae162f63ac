"""`workflows.yaml` from disk, with the files that it takes tools from.

The law: what `text_of` returns is one text that needs no file, and `parse_registry` of it gives the same registry here
and in every worker. Paths in `tools_from` are relative to the file that names them.
"""

from pathlib import Path

from schemas.config import TEXT_BYTES_MAX, ConfigError, Problem
from schemas.registry import Registry, parse_registry
from schemas.tool_files import inlined, names_of
from streams.console.errors import UserError


def read_registry(path: Path) -> Registry:
    """The registry of a file. Raises UserError with every problem found."""
    try:
        return parse_registry(text_of(path), str(path))
    except ConfigError as error:
        raise UserError(str(error)) from error


def text_of(path: Path) -> str:
    """The registry as one text, checked. Raises ConfigError with every problem, UserError where the file is not there."""
    text = read_text(path)
    files: dict[str, str] = {}
    for name in names_of(text, str(path)):
        try:
            files[name] = read_text(path.parent / name)
        except UserError:
            continue  # told by the registry, with the line that names it
    try:
        parse_registry(text, str(path), files)
    except ConfigError as error:
        raise ConfigError(_where_it_lies(problem, path, files) for problem in error.problems) from error
    alone = inlined(text, str(path), files)
    if len(alone.encode()) > TEXT_BYTES_MAX:
        message = f"larger than {TEXT_BYTES_MAX} bytes with its tools written in; leave out tools that nobody calls"
        raise ConfigError([Problem(str(path), 1, message)])
    return alone


def _where_it_lies(problem: Problem, path: Path, files: dict[str, str]) -> Problem:
    """The problem, its file named as it is seen from here."""
    return problem._replace(source=str(path.parent / problem.source)) if problem.source in files else problem


def read_text(path: Path) -> str:
    """The text of a file. Raises UserError when it cannot be read, is no text, or too large for a config."""
    try:
        with path.open("rb") as file:
            raw = file.read(TEXT_BYTES_MAX + 1)
        if len(raw) > TEXT_BYTES_MAX:
            raise UserError(f"{path}: larger than {TEXT_BYTES_MAX} bytes; split it into several files")
        return raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
