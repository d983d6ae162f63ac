"""`tools_from`: tools that a workflow takes over from files: OpenAI functions, or the answer of an MCP `tools/list`.

It is handed the texts of those files and never opens one. The law: a registry with its files and the same registry with
the tools written into it (`inlined`) are one registry: equal verdicts, equal version. So what is published needs no file.
What a workflow says itself of such a tool (`tools: [{name: pay, writes: true}]`) comes over the file's, key by key.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.config import ConfigError, LineOf, Path, Problem, read_yaml
from schemas.tools import BadSchema, function_of, make_tool

KEY = "tools_from"
Files = Mapping[str, str]  # text by the name that the registry gives the file


class Merged(NamedTuple):
    """The registry's data without `tools_from`, whether there was any, where its lines are, and what is wrong with it."""

    data: Any
    changed: bool
    line_of: LineOf
    problems: list[Problem]


def names_of(text: str, source: str) -> list[str]:
    """The files that a registry takes tools from, each once. Raises ConfigError where the text is not YAML."""
    data, _ = read_yaml(text, source)
    return list(dict.fromkeys(name for entry in _entries(data) for name in _named(entry.get(KEY))))


def inlined(text: str, source: str, files: Files) -> str:
    """The registry as one text that needs no file: as it is, or as JSON with the tools in it. Raises ConfigError."""
    merged = merge(*read_yaml(text, source), source, files)
    if merged.problems:
        raise ConfigError(merged.problems)
    return spelled(merged.data, source) if merged.changed else text


def spelled(data: Any, source: str) -> str:
    """Plain data as JSON text. Raises ConfigError on what JSON does not have."""
    try:
        return json.dumps(data, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(source, 1, f"with {KEY} all values must be JSON: {error}")]) from error


def merge(data: Any, line_of: LineOf, source: str, files: Files) -> Merged:
    """The data with every `tools_from` replaced by the tools of its files."""
    problems: list[Problem] = []
    origins: dict[tuple[int, int], int | None] = {}  # (workflow, tool) -> its place in the entry's own `tools`
    found: list[Any] = []
    for at, entry in enumerate(data["workflows"] if _entries(data) else ()):
        if not isinstance(entry, dict) or KEY not in entry:
            found.append(entry)
            continue
        where = line_of(("workflows", at, KEY))
        names = _named(entry[KEY])
        if not names:
            message = f"workflows[{at}].{KEY}: the name of a file is needed, or a list of names, not {entry[KEY]!r:.60}"
            problems.append(Problem(source, where, message))
        taken = _taken(names, source, where, files, problems)
        own = entry.get("tools", [])
        found.append({**{k: v for k, v in entry.items() if k != KEY}, "tools": own})
        if isinstance(own, list):
            places, found[-1]["tools"] = _over(taken, own)
            origins.update({(at, index): place for index, place in enumerate(places)})
    if not any(isinstance(entry, dict) and KEY in entry for entry in _entries(data)):
        return Merged(data, False, line_of, [])

    def origin(path: Path) -> int:
        if len(path) < 4 or path[0] != "workflows" or path[2] != "tools" or path[1:4:2] not in origins:
            return line_of(path)
        place = origins[path[1:4:2]]  # type: ignore[index]
        return line_of((*path[:2], KEY) if place is None else (*path[:3], place, *path[4:]))

    return Merged({**data, "workflows": found}, True, origin, problems)


def _entries(data: Any) -> list[Any]:
    entries = data.get("workflows") if isinstance(data, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _named(said: Any) -> list[str]:
    names = [said] if isinstance(said, str) else said
    return names if isinstance(names, list) and all(isinstance(name, str) and name for name in names) else []


def _taken(
    names: list[str], source: str, line: int, files: Files, problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    """The tools of these files by name; problems are appended."""
    taken: dict[str, dict[str, Any]] = {}
    for name in names:
        if name not in files:
            message = f"{KEY}: {name!r} cannot be read; its path is relative to the file that names it"
            problems.append(Problem(source, line, message))
            continue
        try:
            tools = read_tools(files[name], name)
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            continue
        for twice in taken.keys() & tools.keys():
            problems.append(Problem(source, line, f"tool {twice!r} is in {name} and in a file before it; keep one"))
        taken |= tools
    return taken


def _over(taken: dict[str, dict[str, Any]], own: list[Any]) -> tuple[list[int | None], list[Any]]:
    """What the workflow says over what the files say: for each tool its place in `own`, and the tool."""
    rest = {name: (None, tool) for name, tool in taken.items()}
    tools: list[tuple[int | None, Any]] = []
    for place, said in enumerate(own):
        plain = function_of(said) or said
        name = plain.get("name") if isinstance(plain, dict) else None
        below = rest.pop(name, None) if isinstance(name, str) else None
        tools.append((place, {**below[1], **plain} if below else said))
    tools += rest.values()
    return [place for place, _ in tools], [tool for _, tool in tools]


def read_tools(text: str, source: str) -> dict[str, dict[str, Any]]:
    """The tools of a file by name, as `workflows.yaml` would say them. Raises ConfigError with every problem.

    A list of tools, `{tools: [...]}`, `{functions: [...]}`, or a whole JSON-RPC answer with its `result`. Keys that
    say nothing about calling a tool are left out: the file is not ours.
    """
    data, line_of = read_yaml(text, source)
    path: Path = ()
    for key in ("result", "tools", "functions"):
        if isinstance(data, dict) and key in data:
            data, path = data[key], (*path, key)
    if not isinstance(data, list):
        message = "no list of tools; OpenAI functions are needed, or the answer of an MCP server to tools/list"
        raise ConfigError([Problem(source, line_of(path), message)])
    tools: dict[str, dict[str, Any]] = {}
    problems = []
    for index, item in enumerate(data):
        at: Path = (*path, index)
        try:
            tool = _tool(item)
            if tool["name"] in tools:
                raise BadSchema(f"tool {tool['name']!r} is there twice; keep one", ())
            tools[tool["name"]] = tool
        except BadSchema as error:
            problems.append(Problem(source, _line(line_of, at, error.path), str(error)))
    if problems:
        raise ConfigError(problems)
    return tools


def _tool(item: Any) -> dict[str, Any]:
    """One tool, its schema tried out."""
    function = function_of(item)
    if function is None or not isinstance(function.get("name"), str) or not function["name"]:
        raise BadSchema("a tool is a mapping with a name", ())
    name, parameters, hints = function["name"], function.get("parameters"), function.get("annotations")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadSchema(f"parameters of tool {name!r}: a mapping is needed, not {parameters!r:.60}", ())
    try:
        make_tool(name, parameters)
    except BadSchema as error:
        raise BadSchema(f"parameters of tool {name!r}: {error}", error.path) from error
    tool: dict[str, Any] = {"name": name}
    if parameters is not None:
        tool["parameters"] = parameters
    if isinstance(hints, dict) and hints.get("readOnlyHint") is False:  # said, not the default of one who says nothing
        tool["writes"] = True
    return tool


def _line(line_of: LineOf, at: Path, fault: Path) -> int:
    """The line of a fault inside a tool's schema, whatever the schema's key is called there."""
    inner = [("parameters",), ("inputSchema",), ("input_schema",), ("function", "parameters")]
    return max(line_of((*at, *key, *fault)) for key in inner) if fault else line_of(at)
