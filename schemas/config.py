"""Reading what people write (workflows.yaml, rules.yaml, expectations.jsonl): plain data, lines of keys, clear errors.

It reads text it is given, never a file. The law: bad input becomes a `ConfigError` whose every line names source, line
and cure; all problems of one text are told at once; nothing a person can write (alias bombs, deep nesting, 100 MB,
object tags) costs more than the bounds below.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

TEXT_BYTES_MAX = 1 << 20
DEPTH_MAX = 60  # nested mappings and lists: the composer is recursive
NODES_MAX = 200_000  # counted with aliases expanded: a bomb of nine short lines has 10^9
PROBLEMS_MAX = 50  # told at once; more are counted

Path = tuple[str | int, ...]
LineOf = Callable[[Path], int]
M = TypeVar("M", bound=BaseModel)


class Problem(NamedTuple):
    """One thing that is wrong, where, and what to do about it."""

    source: str
    line: int  # from 1
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}"


class ConfigError(ValueError):
    """A text that a person wrote cannot be used. `problems` says why, each with source and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:PROBLEMS_MAX]]
        if len(self.problems) > PROBLEMS_MAX:
            shown.append(f"and {len(self.problems) - PROBLEMS_MAX} more problems")
        super().__init__("\n".join(shown))


class Declared(BaseModel):
    """Base of what people declare: unknown keys are errors, types are not guessed, numbers are finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, without dates: an unquoted 2024-05-01 stays the text that it is in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own class attribute)
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(text: str, source: str) -> tuple[Any, LineOf]:
    """The plain data of one YAML (or JSON) document, and a function from a path in it to its line.

    An empty text is None. The line of a path that is not there is its nearest ancestor's. Raises ConfigError on broken
    YAML, duplicate keys, object tags, more than one document and every bound of this module.
    """
    if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        raise ConfigError([Problem(source, 1, f"larger than {TEXT_BYTES_MAX} bytes; split it into several files")])
    json = _as_json(text)
    # JSON is wider than YAML: tabs between tokens, escaped surrogates. The composer is then asked for lines only.
    readable = text if json is None else text.replace("\t", " ").replace("\\u", "_")
    try:
        _check_depth(readable, source)
        loader = _Loader(readable)
        root = loader.get_single_node()
        if root is None:
            return None, lambda path: 1
        lines = _lines(root, source)
        data = loader.construct_document(root) if json is None else json
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_problem(error, source)]) from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError([Problem(source, 1, f"cannot be read: {error}")]) from error
    return data, _line_finder(lines)


def _as_json(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _check_depth(text: str, source: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise ConfigError([Problem(source, _line(event), f"nested deeper than {DEPTH_MAX} levels; flatten it")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _lines(root: yaml.Node, source: str) -> dict[Path, int]:
    """Line of every path, aliases expanded. Raises ConfigError on duplicate keys and on a document that explodes."""
    lines: dict[Path, int] = {(): _line(root)}
    problems: list[Problem] = []
    stack: list[tuple[Path, yaml.Node]] = [((), root)]
    while stack:
        path, node = stack.pop()
        seen: dict[str | int, int] = {}
        for part, line, child in _children(node):
            if part in seen and isinstance(node, yaml.MappingNode) and part != "<<":
                problems.append(
                    Problem(source, line, f"key {part!r} is given twice (first in line {seen[part]}); keep one")
                )
            seen[part] = line
            lines[*path, part] = line
            stack.append(((*path, part), child))
        if len(lines) > NODES_MAX or len(path) > DEPTH_MAX:  # also where an alias contains itself
            message = f"more than {NODES_MAX} values or {DEPTH_MAX} levels once its aliases are expanded; write less"
            raise ConfigError([Problem(source, _line(node), message)])
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    return lines


def _line(marked: yaml.Node | yaml.Event) -> int:
    return (marked.start_mark.line if marked.start_mark else 0) + 1


def _children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else f"(key in line {_line(key)})"
            yield name, _line(key), value
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield index, _line(item), item


def _line_finder(lines: dict[Path, int]) -> LineOf:
    def line_of(path: Path) -> int:
        while path not in lines:
            path = path[:-1]
        return lines[path]

    return line_of


def _yaml_problem(error: yaml.YAMLError, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem(source, (mark.line if mark else 0) + 1, f"not valid YAML: {said}")


def validate(model: type[M], data: Any, source: str, line_of: LineOf) -> M:
    """`data` as a `model`. Raises ConfigError with every problem, its line, and an unknown key's nearest spelling."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(problems_of(model, error, source, line_of)) from error


def problems_of(model: type[BaseModel], error: ValidationError, source: str, line_of: LineOf) -> list[Problem]:
    """What `error` says of a `model`, each once, in the order of lines."""
    found = {_problem(model, dict(e), source, line_of) for e in error.errors(include_url=False)}
    return sorted(found, key=lambda problem: (problem.line, problem.message))


def _problem(model: type[BaseModel], error: dict[str, Any], source: str, line_of: LineOf) -> Problem:
    path: Path = error["loc"]
    where = spell_path(path)
    match error["type"]:
        case "extra_forbidden":
            message = unknown(f"key {path[-1]!r}", str(path[-1]), _keys_at([model], path[:-1]))
        case "missing":
            message = f"key {path[-1]!r} is missing" + (f" in {spell_path(path[:-1])}" if path[:-1] else "")
        case "value_error":
            message = f"{where}: {error['ctx']['error']}" if path else str(error["ctx"]["error"])
        case "model_type" | "dict_type":
            message = f"{where or 'the document'}: a mapping is needed, not {_shown(error['input'])}"
        case _:
            message = f"{where or 'the document'}: {_lower(error['msg'])}, not {_shown(error['input'])}"
    return Problem(source, line_of(path), message)


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """The sentence for a word that is not among the known ones, with the nearest right spelling."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6) or [n for n in names if n.lower() == word.lower()]
    cure = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names[:30])}" if names else "remove it"
    return f"unknown {what}; {cure}"


def spell_path(path: Iterable[str | int]) -> str:
    """A path as people read it: `workflows[0].tools[2].name`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys_at(types: list[Any], path: Path) -> set[str]:
    """The keys that may stand at `path`: follows pydantic's location through models, lists, mappings and unions."""
    for part in path:
        types = [inner for kind in types for inner in _step(kind, part)]
    return {field.alias or name for kind in _models(types) for name, field in kind.model_fields.items()}


def _step(kind: Any, part: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [f.annotation for name, f in kind.model_fields.items() if part in (name, f.alias)]
    if get_origin(kind) is None:
        return []
    if isinstance(part, int) or get_origin(kind) is dict:
        return [get_args(kind)[-1]]
    return [inner for option in get_args(kind) for inner in _step(option, part)]


def _models(types: list[Any]) -> Iterator[type[BaseModel]]:
    for kind in types:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        elif get_origin(kind) is not None:
            yield from _models(list(get_args(kind)))
