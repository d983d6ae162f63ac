"""Reading targets.yaml, who gets what, and the secrets: found, missing, or written where they may not stand."""

from pathlib import Path

import pytest

from schemas.config import ConfigError
from schemas.target import Allow, SecretRef, Target
from schemas.targets import parse_targets
from streams.console.errors import UserError
from streams.delivery.routing import goes_to
from streams.delivery.secrets import refs_of, reveal
from tests.delivery.events import FIRING, RESOLVED, UPDATED

EXAMPLE = Path(__file__).parents[2] / "infra" / "examples" / "targets.yaml"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def read(targets: str, routes: str = "[{to: [a]}]", source: str = "t.yaml"):
    return parse_targets(f"targets:\n{targets}\nroutes: {routes}\n", source)


def problems(targets: str, routes: str = "[{to: [a]}]") -> str:
    with pytest.raises(ConfigError) as caught:
        read(targets, routes)
    return str(caught.value)


def one(rest: str) -> Target:
    return read(f"  - {{name: a, {rest}}}").targets[0]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("pagerduty: {routing_key: R0UT1NG}", "t.yaml:2: targets[0].pagerduty.routing_key: is a secret"),
        ('slack: {url: "https://hooks.slack.com/R0UT1NG"}', 'write "${ENV:NAME}" or "file:/path/of/the/secret"'),
        ("slack: R0UT1NG", "is a mapping"),
        ('webhook: {url: "https://h/", secrets: [R0UT1NG]}', "is a secret and may not stand here"),
        ('webhook: {url: "https://h/", secrets: R0UT1NG}', "is a list of secrets"),
        ('webhook: {url: "https://u:R0UT1NG@h/", secrets: ["${ENV:S}"]}', "holds a name or password"),
        ('webhook: {url: "https://h/", secrets: ["${ENV:S}"], bearer_token: R0UT1NG}', "is a secret"),
        ('webhook: {url: "https://h/", secrets: []}', "at least 1"),
        ('webhook: {url: "ftp://h/", secrets: ["${ENV:S}"]}', "is not an URL"),
        ('webhook: {url: "https://h:x/", secrets: ["${ENV:S}"]}', "is not an URL"),
        ('webhook: {url: "http://h/", secrets: ["${ENV:S}"]}', "write allow: {http: true}"),
        ('alertmanager: {url: "https://h:9093"}', "write allow: {ports: [9093]}"),
        ('alertmanager: {url: "https://h"}, allow: {networks: [0.0.0.0/0]}', "allows nearly everything"),
        ('alertmanager: {url: "https://h"}, allow: {networks: [10.0.0.1/8]}', "is not a network"),
        ("file: {path: x}, retry: {first: soon}", "is not a duration"),
        ("file: {path: x}, retry: {first: 0s}", "is no time at all"),
        ("file: {path: x}, rate_per_s: 0", "rate_per_s"),
        ("fiel: {path: x}", "unknown key 'fiel'; did you mean 'file'?"),
        ("updates: true", "target 'a' goes nowhere"),
        ('alertmanager: {url: "https://h"}, updates: false', "Alertmanager forgets what is not told again"),
        ('file: {path: x}, slack: {url: "${ENV:S}"}', "is slack and file at once"),
    ],
)
def test_a_slip_is_told_with_its_line_and_its_cure_and_never_shows_a_secret(target: str, said: str) -> None:
    told = problems(f"  - {{name: a, {target}}}")
    assert said in told
    assert told.startswith("t.yaml:2: ")
    assert "R0UT1NG" not in told


@pytest.mark.parametrize(
    ("targets", "routes", "said"),
    [
        (
            "  - {name: a, file: {path: x}}\n  - {name: a, file: {path: y}}",
            "[{to: [a]}]",
            "t.yaml:3: name 'a' is taken",
        ),
        ("  - {name: archive, file: {path: x}}", "[{to: [archve]}]", "t.yaml:3: unknown target 'archve'; did you mean"),
        ("  - {name: a b, file: {path: x}}", "[{to: [a]}]", "may hold letters"),
        ("  - {name: a, file: {path: x}}", "[{match: {severity: [fatal]}, to: [a]}]", "severity"),
        ("  - {name: a, file: {path: x}}", "[]", "routes"),
    ],
)
def test_what_is_wrong_between_targets_and_routes_is_told(targets: str, routes: str, said: str) -> None:
    assert said in problems(targets, routes)


def test_an_empty_file_names_its_cure() -> None:
    with pytest.raises(ConfigError, match="names no target"):
        parse_targets("", "t.yaml")


def test_what_is_written_is_what_is_read() -> None:
    target = one(
        'webhook: {url: "https://h:8443/x", secrets: ["${ENV:NEW}", "file:/run/old"]}, rate_per_s: 3, timeout: 2s, '
        "retry: {first: 1s, most: 2m, give_up_after: 3h}, "
        "allow: {http: true, ports: [8443], networks: [10.0.0.0/8]}"
    )
    assert (target.kind, target.rate_per_s, target.timeout_s, target.updates) == ("webhook", 3, 2, True)
    assert (target.retry.first_s, target.retry.most_s, target.retry.give_up_after_s) == (1, 120, 10_800)
    assert refs_of(target) == [SecretRef("env", "NEW"), SecretRef("file", "/run/old")]
    assert target.allow.http
    assert one("file: {path: x}").allow == Allow()


def test_the_example_is_read() -> None:
    read_ = parse_targets(EXAMPLE.read_text(), "targets.yaml")
    assert {target.kind for target in read_.targets} == {"webhook", "slack", "pagerduty", "alertmanager", "file"}


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("{}", True),
        ("{workflow: refund}", True),
        ('{workflow: "re*"}', True),
        ("{workflow: other}", False),
        ("{tenant: default}", True),
        ("{tenant: acme}", False),
        ("{severity: [critical, error]}", True),
        ("{severity: [warning]}", False),
        ("{labels: {team: ops}}", True),
        ("{labels: {team: dev}}", False),
        ('{labels: {step: "executor/*"}}', True),
        ("{labels: {nothing: x}}", False),
        ("{workflow: refund, severity: [warning]}", False),
    ],
)
def test_a_route_takes_what_fits_all_it_says(match: str, fits: bool) -> None:
    targets = read("  - {name: a, file: {path: x}}", f"[{{match: {match}, to: [a]}}]")
    assert goes_to(targets.targets[0], FIRING, targets.routes) == fits


def test_every_route_that_fits_adds_its_targets() -> None:
    routes = "[{match: {workflow: other}, to: [a]}, {match: {workflow: refund}, to: [b]}, {to: [a, c]}]"
    targets = read("\n".join(f"  - {{name: {name}, file: {{path: x}}}}" for name in "abcd"), routes)
    assert [t.name for t in targets.targets if goes_to(t, FIRING, targets.routes)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("target", "updated"),
    [
        ("file: {path: x}", True),
        ('alertmanager: {url: "https://h"}', True),
        ('slack: {url: "${ENV:S}"}', False),
        ('pagerduty: {routing_key: "${ENV:S}"}', False),
        ('slack: {url: "${ENV:S}"}, updates: true', True),
        ("file: {path: x}, updates: false", False),
    ],
)
def test_people_hear_of_a_change_and_machines_of_updates_too(target: str, updated: bool) -> None:
    targets = read(f"  - {{name: a, {target}}}")
    wanted = [goes_to(targets.targets[0], event, targets.routes) for event in (FIRING, UPDATED, RESOLVED)]
    assert wanted == [True, updated, True]
    raised = UPDATED._replace(reason="severity_raised")
    assert goes_to(targets.targets[0], raised, targets.routes), "another severity is a change"


def test_what_is_silenced_goes_nowhere_but_its_end() -> None:
    targets = read("  - {name: a, file: {path: x}}")
    events = [event._replace(silenced=True) for event in (FIRING, UPDATED, RESOLVED)]
    assert [goes_to(targets.targets[0], event, targets.routes) for event in events] == [False, False, True]


WEBHOOK = 'webhook: {url: "${ENV:URL}", secrets: ["${ENV:KEY}"]}'


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET + "\n")
    target = one(f'webhook: {{url: "https://h/", secrets: ["${{ENV:KEY}}", "file:{tmp_path}/key"]}}')
    secrets = reveal(target, {"KEY": SECRET})
    assert secrets.all() == (SECRET, SECRET)
    assert SECRET not in repr(secrets)


@pytest.mark.parametrize(
    ("target", "environment", "said"),
    [
        (WEBHOOK, {"URL": "https://h/"}, "target a: ${ENV:KEY} holds nothing: set the variable KEY"),
        (WEBHOOK, {"URL": "https://h/", "KEY": "hunter2"}, "${ENV:KEY} is no signing secret"),
        (WEBHOOK, {"URL": "https://h/", "KEY": "one\ntwo"}, "more than one line"),
        (WEBHOOK, {"URL": "http://hunter2/", "KEY": SECRET}, "the URL in ${ENV:URL}: http is read by everybody"),
        (WEBHOOK, {"URL": "hunter2", "KEY": SECRET}, "the URL in ${ENV:URL}: is not an URL"),
        ('slack: {url: "file:/not/there"}', {}, "the secret file /not/there cannot be read"),
    ],
)
def test_a_secret_that_cannot_be_used_stops_the_start_and_is_not_shown(
    target: str, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        reveal(one(target), environment)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
