"""The secrets of targets: read once, at the start, from the environment or from files, and never shown.

The law: a target whose secrets are missing or unusable stops the start, with a sentence that names the reference.
"""

from collections.abc import Mapping
from pathlib import Path

from schemas.target import Alertmanager, PagerDuty, SecretRef, Slack, Target, Webhook
from schemas.target_url import reach_problem, url_problem
from streams.console.errors import UserError
from streams.delivery.webhook import read_key

SECRET_BYTES_MAX = 8_192


class Secrets:
    """Secrets by reference."""

    def __init__(self, known: Mapping[SecretRef, str]) -> None:
        self._known = dict(known)

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)})"

    def of(self, text: str | SecretRef) -> str:
        """What a reference leads to; a text that is none is itself."""
        return text if isinstance(text, str) else self._known[text]

    def maybe(self, ref: SecretRef | None) -> str | None:
        """As `of`, where there may be none."""
        return None if ref is None else self._known[ref]

    def all(self) -> tuple[str, ...]:
        """To be masked wherever they turn up."""
        return tuple(self._known.values())


def reveal(target: Target, environment: Mapping[str, str]) -> Secrets:
    """The secrets of one target, usable ones. Raises UserError."""
    secrets = Secrets({ref: _read(target, ref, environment) for ref in refs_of(target)})
    _check(target, secrets)
    return secrets


def refs_of(target: Target) -> list[SecretRef]:
    """All references of a target."""
    match target.destination:
        case Webhook(url, keys, bearer):
            found = [url, *keys, bearer]
        case Slack(url):
            found = [url]
        case PagerDuty(routing_key, _):
            found = [routing_key]
        case Alertmanager(url, bearer):
            found = [url, bearer]
        case _:
            found = []
    return [ref for ref in found if isinstance(ref, SecretRef)]


def _read(target: Target, ref: SecretRef, environment: Mapping[str, str]) -> str:
    if ref.place == "env":
        text = environment.get(ref.name, "").strip()
        cure = f"set the variable {ref.name}"
    else:
        text, cure = _read_file(target, Path(ref.name)), f"write the secret into {ref.name}"
    if not text:
        raise UserError(f"target {target.name}: {ref} holds nothing: {cure}")
    if not text.isprintable():
        raise UserError(f"target {target.name}: {ref} holds more than one line: it is one secret, without a line break")
    return text


def _read_file(target: Target, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"target {target.name}: the secret file {path} cannot be read: {why}") from error


def _check(target: Target, secrets: Secrets) -> None:
    destination = target.destination
    if isinstance(destination, Webhook):
        for ref in destination.secrets:
            try:
                read_key(secrets.of(ref))
            except ValueError as error:
                raise UserError(f"target {target.name}: {ref} {error}") from error
    url = getattr(destination, "url", None)
    if isinstance(url, SecretRef):
        text = secrets.of(url)
        if why := url_problem(text) or reach_problem(text, target.allow):
            raise UserError(f"target {target.name}: the URL in {url}: {why}")
