"""Reading `targets.yaml`: strictly, with file, line and cure for everything that is wrong.

    targets:
      - name: on-call
        pagerduty: {routing_key: "${ENV:PAGERDUTY_ROUTING_KEY}"}
      - name: archive
        file: {path: alerts.jsonl}
    routes:
      - match: {workflow: "refund*", severity: [critical]}
        to: [on-call]
      - to: [archive]                                     # no match: everything

It reads text it is given, never a file or the environment. The law: a secret that stands in the text is an error, and
no message shows it.
"""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.config import ConfigError, Declared, LineOf, Problem, read_yaml, unknown, validate
from schemas.duration import duration_ms
from schemas.rule import Severity
from schemas.target import (
    PAGERDUTY_URL,
    Alertmanager,
    Allow,
    Destination,
    File,
    Kind,
    Network,
    PagerDuty,
    Retry,
    Route,
    SecretRef,
    Slack,
    Target,
    Targets,
    Webhook,
)
from schemas.target_url import reach_problem, url_problem

TARGETS_MAX = 50  # each is a consumer of its own
ROUTES_MAX = 500
PREFIX_MIN = {4: 8, 6: 16}  # a wider network is no exception any more
KINDS: tuple[Kind, ...] = ("webhook", "slack", "pagerduty", "alertmanager", "file")
# Slack takes one message a second and channel; PagerDuty some hundred events a minute and key.
RATES: dict[Kind, float] = {"webhook": 10, "slack": 1, "pagerduty": 2, "alertmanager": 10, "file": 1_000}
TIMEOUT_S = 10.0
_SECRET = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}|file:(\S.*)")


def _secret(text: Any) -> Any:
    """A reference. What is none may be the secret itself, so it is hidden from the message."""
    if not isinstance(text, str) or not _SECRET.fullmatch(text):
        raise ValueError('is a secret and may not stand here; write "${ENV:NAME}" or "file:/path/of/the/secret"')
    return text


def _secrets(texts: Any) -> Any:
    if not isinstance(texts, list):
        raise ValueError('is a list of secrets; write ["${ENV:NAME}"]')
    return texts


def _mapping(said: Any) -> Any:
    """A secret may stand here by mistake: refused before a message shows what was given."""
    if not isinstance(said, dict):
        raise ValueError("is a mapping; see docs/delivery.md for its keys")
    return said


def _url(text: str) -> str:
    if _SECRET.fullmatch(text):
        return text
    if problem := url_problem(text):
        raise ValueError(problem)
    return text


def _duration(text: str) -> str:
    if duration_ms(text) < 1:
        raise ValueError(f"{text!r} is no time at all; write 1s or more")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text):
        raise ValueError(f"{text!r} may hold letters, digits, '_' and '-' only, at most 63 of them")
    return text


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network; write 10.20.0.0/16 or 127.0.0.1/32") from error
    if network.prefixlen < PREFIX_MIN[network.version]:
        raise ValueError(f"{text!r} allows nearly everything; list the networks that your targets are in")
    return text


Secret = Annotated[str, BeforeValidator(_secret)]
Url = Annotated[str, AfterValidator(_url)]
Duration = Annotated[str, AfterValidator(_duration)]
Name = Annotated[str, AfterValidator(_name)]


class _Webhook(Declared):
    url: Url
    secrets: Annotated[list[Secret], BeforeValidator(_secrets), Field(min_length=1, max_length=2)]
    bearer_token: Secret | None = None


class _Slack(Declared):
    url: Secret


class _PagerDuty(Declared):
    routing_key: Secret
    url: Annotated[Url, Field(pattern=r"^http")] = PAGERDUTY_URL


class _Alertmanager(Declared):
    url: Url
    bearer_token: Secret | None = None


class _File(Declared):
    path: Annotated[str, Field(min_length=1)]


class _Retry(Declared):
    first: Duration = "5s"
    most: Duration = "1h"
    give_up_after: Duration = "24h"


class _Allow(Declared):
    http: bool = False
    ports: list[Annotated[int, Field(ge=1, le=65_535)]] = Field(default_factory=list)
    networks: list[Annotated[str, AfterValidator(_network)]] = Field(default_factory=list)


class _Target(Declared):
    name: Name
    webhook: Annotated[_Webhook | None, BeforeValidator(_mapping)] = None
    slack: Annotated[_Slack | None, BeforeValidator(_mapping)] = None
    pagerduty: Annotated[_PagerDuty | None, BeforeValidator(_mapping)] = None
    alertmanager: Annotated[_Alertmanager | None, BeforeValidator(_mapping)] = None
    file: Annotated[_File | None, BeforeValidator(_mapping)] = None
    updates: bool | None = None
    rate_per_s: Annotated[float, Field(ge=0.01, le=1_000)] | None = None
    timeout: Duration = "10s"
    retry: _Retry = _Retry()
    allow: _Allow = _Allow()

    def kinds(self) -> list[Kind]:
        return [kind for kind in KINDS if getattr(self, kind) is not None]


class _Match(Declared):
    tenant: str = "*"
    workflow: str = "*"
    severity: list[Severity] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)


class _Route(Declared):
    match: _Match = _Match()
    to: Annotated[list[str], Field(min_length=1)]


class _Document(Declared):
    targets: Annotated[list[_Target], Field(min_length=1, max_length=TARGETS_MAX)]
    routes: Annotated[list[_Route], Field(min_length=1, max_length=ROUTES_MAX)]


def parse_targets(text: str, source: str) -> Targets:
    """The targets and routes of a text. Raises ConfigError with every problem, its line and cure."""
    data, line_of = read_yaml(text, source)
    if data is None:
        raise ConfigError([Problem(source, 1, "names no target; write `targets:` and `routes:`")])
    file = validate(_Document, data, source, line_of)
    if problems := _problems(file, source, line_of):
        raise ConfigError(problems)
    return Targets(tuple(_target(t) for t in file.targets), tuple(_route(r) for r in file.routes))


def _problems(file: _Document, source: str, line_of: LineOf) -> list[Problem]:
    """What is wrong with targets and routes that are right one by one."""
    found: list[Problem] = []
    first: dict[str, int] = {}
    for index, target in enumerate(file.targets):
        line = line_of(("targets", index, "name"))
        if target.name in first:
            found.append(Problem(source, line, f"name {target.name!r} is taken in line {first[target.name]}"))
        first.setdefault(target.name, line)
        if len(kinds := target.kinds()) != 1:
            said = f"is {' and '.join(kinds)} at once" if kinds else "goes nowhere"
            found.append(Problem(source, line, f"target {target.name!r} {said}; write one of {', '.join(KINDS)}"))
        elif target.alertmanager and target.updates is False:
            line = line_of(("targets", index, "updates"))
            found.append(Problem(source, line, "updates: Alertmanager forgets what is not told again; remove the key"))
        elif (problem := _unreachable(target, kinds[0])) is not None:
            found.append(Problem(source, line_of(("targets", index, kinds[0], "url")), f"url: {problem}"))
    for index, route in enumerate(file.routes):
        for place, name in enumerate(route.to):
            if name not in first:
                line = line_of(("routes", index, "to", place))
                found.append(Problem(source, line, unknown(f"target {name!r}", name, first)))
    return sorted(found, key=lambda problem: problem.line)


def _unreachable(target: _Target, kind: Kind) -> str | None:
    """Why an URL that stands in the text is refused by the target's own rules."""
    url = getattr(getattr(target, kind), "url", None)
    if url is None or _SECRET.fullmatch(url):
        return None
    return reach_problem(url, allow_of(target.allow))


def allow_of(said: _Allow) -> Allow:
    """The exceptions as values."""
    networks: list[Network] = [ipaddress.ip_network(network) for network in said.networks]
    return Allow(said.http, tuple(said.ports), tuple(networks))


def _target(said: _Target) -> Target:
    kind = said.kinds()[0]
    retry = said.retry
    return Target(
        name=said.name,
        kind=kind,
        destination=_destination(said),
        # For people an alert that goes on is no news; machines let it expire when they hear nothing.
        updates=kind not in ("slack", "pagerduty") if said.updates is None else said.updates,
        rate_per_s=said.rate_per_s or RATES[kind],
        timeout_s=duration_ms(said.timeout) / 1000,
        retry=Retry(*(duration_ms(text) / 1000 for text in (retry.first, retry.most, retry.give_up_after))),
        allow=allow_of(said.allow),
    )


def _destination(said: _Target) -> Destination:
    if said.webhook:
        secrets = tuple(_ref(secret) for secret in said.webhook.secrets)
        return Webhook(_url_or_ref(said.webhook.url), secrets, _maybe_ref(said.webhook.bearer_token))
    if said.slack:
        return Slack(_ref(said.slack.url))
    if said.pagerduty:
        return PagerDuty(_ref(said.pagerduty.routing_key), said.pagerduty.url)
    if said.alertmanager:
        return Alertmanager(_url_or_ref(said.alertmanager.url), _maybe_ref(said.alertmanager.bearer_token))
    assert said.file
    return File(said.file.path)


def _ref(text: str) -> SecretRef:
    found = _SECRET.fullmatch(text)
    assert found
    return SecretRef("env", found[1]) if found[1] else SecretRef("file", found[2])


def _maybe_ref(text: str | None) -> SecretRef | None:
    return None if text is None else _ref(text)


def _url_or_ref(text: str) -> str | SecretRef:
    return _ref(text) if _SECRET.fullmatch(text) else text


def _route(said: _Route) -> Route:
    match = said.match
    return Route(
        match.tenant, match.workflow, frozenset(match.severity), tuple(match.labels.items()), frozenset(said.to)
    )
