"""What can be known of docker-compose.yml and the Dockerfile without an engine: that they fit together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from starter.main import COMMANDS
from worker.embedded import DYNAMIC_CONFIG
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

#: The keys of a service that are used here (compose specification: services).
KEYS = {
    "build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init", "ports", "restart",
    "stop_grace_period", "volumes",
}  # fmt: skip
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period"}


def jobs() -> set[str]:
    """Services that end when they have done their work."""
    return {
        name
        for service in SERVICES.values()
        for name, awaited in service.get("depends_on", {}).items()
        if awaited["condition"] == "service_completed_successfully"
    }


@pytest.mark.parametrize("name", SERVICES)
def test_services_use_known_keys(name: str) -> None:
    assert set(SERVICES[name]) <= KEYS
    assert set(SERVICES[name].get("healthcheck", {})) <= HEALTHCHECK_KEYS
    assert set(COMPOSE) <= {"name", "services", "volumes"}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_not_deprecated(name: str) -> None:
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        assert image == "towpath:local"
        return
    repository, _, tag = image.partition(":")
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag), image
    assert repository in {"postgres", "temporalio/server", "temporalio/admin-tools", "temporalio/ui"}


def test_the_parts_of_temporal_are_of_one_release() -> None:
    tags = {service["image"].split(":")[1] for service in SERVICES.values() if "temporalio/ui" not in service["image"]}
    assert len(tags - {"local", SERVICES["postgresql"]["image"].split(":")[1]}) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_bound_to_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_what_keeps_running_has_a_health_check_and_jobs_are_tried_again(name: str) -> None:
    service = SERVICES[name]
    if name in jobs():
        assert service["restart"].startswith("on-failure")
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_exists_and_can_be_waited_for(name: str) -> None:
    for awaited, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] in {"service_healthy", "service_completed_successfully"}
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[awaited]


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_and_volumes_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.rpartition(":ro")[0] or volume
        source = source.rpartition(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).is_file()
        elif not source.startswith("${"):
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_valid_shell(script: Path) -> None:
    shell = shutil.which("sh")
    assert shell
    subprocess.run([shell, "-n", str(script)], check=True)


def test_no_password_has_a_default() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or variable.endswith("PWD"):
                if value == f"${{{variable}:-}}":
                    # Nothing, where nothing is given.
                    continue
                assert re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", value)


def test_the_number_of_shards_is_chosen() -> None:
    shards = int(SERVICES["temporal"]["environment"]["NUM_HISTORY_SHARDS"])
    assert shards & (shards - 1) == 0


def test_temporal_is_tuned_as_the_embedded_one_is() -> None:
    config = yaml.safe_load((ROOT / "deploy/dynamic-config.yaml").read_text())
    assert {key: str(value[0]["value"]).lower() for key, value in config.items()} == DYNAMIC_CONFIG
    environment = SERVICES["temporal"]["environment"]
    assert any(
        volume.split(":")[1] == environment["DYNAMIC_CONFIG_FILE_PATH"] for volume in SERVICES["temporal"]["volumes"]
    )


def test_the_worker_runs_a_command_that_exists_with_settings_that_exist() -> None:
    worker = SERVICES["worker"]
    assert worker["command"][0] == "towpath"
    assert worker["command"][1] in COMMANDS
    settings = {
        variable.removeprefix("TOWPATH_").lower(): value
        for variable, value in worker["environment"].items()
        if variable.startswith("TOWPATH_")
    }
    WorkerSettings(**settings)
    dockerfile = re.findall(r"TOWPATH_([A-Z_]+)=", DOCKERFILE)
    assert {name.lower() for name in dockerfile} <= set(WorkerSettings.model_fields)
    assert re.search(r'^CMD \["towpath", "worker"\]$', DOCKERFILE, re.MULTILINE)


def test_the_temporal_ui_and_the_codec_endpoint_know_each_other() -> None:
    ui, worker = SERVICES["temporal-ui"], SERVICES["worker"]
    port = ui["ports"][0].split(":")[1]
    assert f"http://127.0.0.1:{port}" in worker["environment"]["TOWPATH_CODEC_ORIGINS"].split(",")
    published, inside = worker["ports"][0].split(":")[1:]
    assert ui["environment"]["TEMPORAL_CODEC_ENDPOINT"] == f"http://127.0.0.1:{published}"
    assert worker["environment"]["TOWPATH_CODEC_ADDRESS"].endswith(f":{inside}")


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert copied == {rule[1:] for rule in rules if rule.startswith("!")}
    assert not [source for source in sorted(copied) if not (ROOT / source).exists()]


def test_every_room_is_in_the_image() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    rooms = re.search(r"^packages = \[(\"activities\".+)\]$", pyproject, re.MULTILINE)
    assert rooms
    for room in re.findall(r'"(\w+)"', rooms[1]):
        assert f"COPY {room} {room}\n" in DOCKERFILE


def test_the_image_is_pinned_and_not_roots() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base) for base in bases)
    assert len(set(bases)) == 1
    assert re.search(r"^USER towpath$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-runtime.txt"])
def test_every_version_is_pinned_with_hashes_and_names_no_index(file: str) -> None:
    text = (ROOT / file).read_text()
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*(?:\[[^\]]+\])?==\S+.*(?:\n    .*)*", text, re.MULTILINE)
    assert len(pins) > 20
    assert not [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin]
    assert not re.search(r"--(?!hash=)|://", text)


def test_the_runtime_is_part_of_what_is_tested() -> None:
    def pins(file: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9][^ ;\\]+==[^ ;\\]+)", (ROOT / file).read_text(), re.MULTILINE))

    assert pins("constraints-runtime.txt") <= pins("constraints.txt")


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_accepts_it() -> None:
    subprocess.run(
        ["docker", "compose", "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        check=True,
        env={"PATH": "/usr/bin:/usr/local/bin:/bin", "POSTGRES_PASSWORD": "x"},
    )
