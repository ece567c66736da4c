"""How the command line speaks: outputs, errors and exit codes, with a Towpath that is played."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

from model.promotions import Admission, PromotionView, StepRecord
from model.resources.promotion import PromotionPhase
from model.stages import StageSummary
from model.steps import StepStatus
from starter import progress
from starter.applying import Applied
from starter.commands.logs import promotion_log
from starter.configuration import configuration_path
from starter.errors import NotFound, ServerSilent, WorkerSilent
from starter.listing import StageLine
from starter.main import cli
from starter.session import Session
from starter.yaml_text import as_yaml

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FREIGHT = "1b54a9426c130fdcc59b9453a5efb85e9e743879"


def view(phase: PromotionPhase, *steps: StepRecord, **fields: Any) -> PromotionView:
    return PromotionView(
        project="shop",
        stage="dev",
        name="dev.01.1b54a94",
        freight=FREIGHT,
        phase=phase,
        created_at=NOW,
        steps=list(steps),
        **fields,
    )


def step(status: StepStatus | None, message: str = "", **fields: Any) -> StepRecord:
    return StepRecord(alias="push", uses="git-push", status=status, message=message, **fields)


class Played:
    """A Towpath with two Stages and one promotion, whose course the test sets."""

    def __init__(self) -> None:
        self.course: list[PromotionView] = []
        self.admission = Admission(accepted=True, name="dev.01.1b54a94")
        self.asked: list[tuple[str, ...]] = []
        self.interrupted = False

    async def stage_lines(self, project: str) -> list[StageLine]:
        made = datetime.now(UTC) - timedelta(days=3)
        summary = StageSummary(
            freight={FREIGHT: "frozen-fox"}, health="Healthy", last_phase="Succeeded", created_at=made
        )
        empty = StageSummary(freight_summary="0/1 Fulfilled", upstream=["dev"])
        return [
            StageLine(project=project, name="dev", summary=summary),
            StageLine(project=project, name="prod", summary=empty),
        ]

    async def project_names(self) -> list[str]:
        return ["shop"]

    async def list_stages(self, project: str) -> list[dict[str, Any]]:
        return [await self.get_stage(project, "dev"), await self.get_stage(project, "prod")]

    async def get_stage(self, project: str, name: str) -> dict[str, Any]:
        if name not in ("dev", "prod"):
            raise NotFound(f"Stage {name} in Project {project} not found")
        return {"apiVersion": "kargo.akuity.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}}

    async def promote(self, project: str, stage: str, **freight: str) -> Admission:
        self.asked.append((project, stage, *(value for value in freight.values() if value)))
        return self.admission

    async def follow(self, *_: object) -> AsyncIterator[PromotionView]:
        for seen in self.course:
            yield seen
        if self.interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)


@pytest.fixture
def played() -> Played:
    return Played()


def run(towpath: object, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> Result:
    async def connect() -> Any:
        if isinstance(towpath, Exception):
            raise towpath
        return towpath

    return CliRunner().invoke(cli, list(arguments), obj=Session(connect), env=env, **options)


# Output


def test_a_table_has_plain_columns_where_nobody_looks_on(played: Played) -> None:
    lines = run(played, "get", "stages", "-p", "shop").stdout.splitlines()
    assert lines == [
        "NAME   CURRENT FREIGHT   HEALTH    VERIFICATION   PROMOTION   AGE   STATUS",
        "dev    frozen-fox        Healthy                  Succeeded   3d",
        "prod   0/1 Fulfilled",
    ]
    assert run(played, "get", "stages", "dev", "-p", "shop").stdout.splitlines() == [
        "NAME   CURRENT FREIGHT   HEALTH    VERIFICATION   PROMOTION   AGE   STATUS",
        "dev    frozen-fox        Healthy                  Succeeded   3d",
    ]
    bare = run(played, "get", "stages", "-p", "shop", "--no-headers").stdout.splitlines()
    assert [line.split()[0] for line in bare] == ["dev", "prod"]


def test_a_list_is_a_kubernetes_list_and_one_by_name_stands_alone(played: Played) -> None:
    listed = json.loads(run(played, "get", "stages", "-p", "shop", "-o", "json").stdout)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["dev", "prod"]
    alone = yaml.safe_load(run(played, "get", "stage", "dev", "-p", "shop", "-o", "yaml").stdout)
    assert alone["kind"] == "Stage"


@pytest.mark.parametrize("spelling", ["stage", "stages", "Stage", "stage.kargo.akuity.io"])
def test_kinds_go_by_many_names(played: Played, spelling: str) -> None:
    assert run(played, "get", spelling, "dev", "-p", "shop", "-o", "name").stdout == "stage.kargo.akuity.io/dev\n"
    assert run(played, "get", f"{spelling}/dev", "-p", "shop", "-o", "name").stdout == "stage.kargo.akuity.io/dev\n"


def test_what_is_there_is_shown_beside_the_error_for_what_is_not(played: Played) -> None:
    result = run(played, "get", "stages", "dev", "nowhere", "-p", "shop", "-o", "name")
    assert result.exit_code == 1
    assert result.stdout == "stage.kargo.akuity.io/dev\n"
    assert result.stderr == "error: Stage nowhere in Project shop not found\n"


# Errors


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServerSilent("no Temporal server can be reached at 127.0.0.1:7233"), "can be reached at 127.0.0.1:7233"),
        (WorkerSilent("no Towpath worker answered in time"), "no Towpath worker answered"),
        (KeyError("inner"), "KeyError: 'inner' (TOWPATH_DEBUG=1 shows where)"),
    ],
)
def test_an_error_is_one_line_and_never_a_traceback(error: Exception, said: str) -> None:
    result = run(error, "get", "stages", "-p", "shop")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_the_traceback_is_shown_to_who_asks_for_it() -> None:
    result = run(KeyError("inner"), "get", "stages", "-p", "shop", env={"TOWPATH_DEBUG": "1"})
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "stages"], "no project"),
        (["get", "stges", "-p", "shop"], "there is no kind of resource 'stges'"),
        (["get", "stages", "-p", "shop", "--alias", "x"], "go with freight"),
        (["promote", "-p", "shop", "--stage", "dev"], "exactly one of --freight"),
        (["promote", "-p", "shop", "--freight", "x"], "exactly one of --stage"),
        (["promote", "-p", "shop", "--freight", "x", "--freight-alias", "y", "--stage", "dev"], "exactly one of"),
        (["promote", "-p", "shop", "--warehouse", "w", "--downstream-from", "dev"], "does not go with downstream"),
        (["promote", "-p", "shop", "--freight", "x", "--downstream"], "exactly one of --stage"),
        (["promote", "-p", "shop", "--abort"], "--name and --abort go together"),
        (["promote", "-p", "shop", "--name", "x"], "--name and --abort go together"),
        (["approve", "-p", "shop", "--stage", "dev"], "exactly one of"),
        (["update", "freight", "-p", "shop", "--new-alias", "x"], "exactly one of"),
        (["apply"], "-f FILE"),
        (["delete"], "either -f FILE"),
        (["delete", "stage", "-p", "shop"], "which stage?"),
        (["completion", "tcsh"], "tcsh"),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_wrong_usage_is_told_before_any_server_is_asked(arguments: list[str], said: str) -> None:
    result = run(AssertionError("asked a server"), *arguments)
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("error: ")
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [[], ["config"], ["verify"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str]) -> None:
    result = run(AssertionError("asked a server"), *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert "\nCommands:\n" in result.stderr


class Empty:
    """A Towpath that finds no manifest in what it is given."""

    async def apply(self, files: object, *, project: str, dry_run: bool) -> Applied:
        return Applied()


def test_applying_nothing_at_all_is_told(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")
    result = run(Empty(), "apply", "-f", str(file), "-p", "shop")
    assert (result.exit_code, result.stderr) == (1, f"error: there is no manifest in {file}\n")


def test_every_problem_of_manifests_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "stage.yaml"
    file.write_text("apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata: {name: dev}\nspec: {dirct: 1}\n")
    result = run(object(), "delete", "-f", str(file), "-p", "shop")
    assert result.exit_code == 1
    *problems, last = result.stderr.splitlines()
    assert any(line.startswith(f"{file}:4: Stage/dev: spec.dirct: ") for line in problems)
    assert last == f"error: {len(problems)} problems in the manifests; nothing was changed"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "stage.yaml"
    if content is not None:
        file.write_bytes(content)
    target = tmp_path if content == b"" else file
    if content == b"":
        file.rename(tmp_path / "stage.txt")
    result = run(object(), "apply", "-f", str(target), "-p", "shop")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {target}")


# Promotions


def test_waiting_tells_every_change_in_a_line(played: Played) -> None:
    later = NOW + timedelta(seconds=2)
    played.course = [
        view(PromotionPhase.PENDING, waiting="dev.00 runs"),
        view(PromotionPhase.RUNNING, step(StepStatus.RUNNING, started_at=NOW), started_at=NOW),
        view(
            PromotionPhase.SUCCEEDED,
            step(StepStatus.SUCCEEDED, started_at=NOW, finished_at=later),
            started_at=NOW,
            finished_at=later,
        ),
    ]
    result = run(played, "promote", "-p", "shop", "--stage", "dev", "--freight-alias", "frozen-fox", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "promotion.kargo.akuity.io/dev.01.1b54a94 created",
        "dev: Pending: dev.00 runs",
        "dev: push (git-push): Running",
        "dev: Running",
        "dev: push (git-push): Succeeded after 2.0s",
        "dev: Succeeded after 2.0s",
    ]
    assert played.asked == [("shop", "dev", "frozen-fox")]


@pytest.mark.parametrize("phase", [PromotionPhase.FAILED, PromotionPhase.ERRORED, PromotionPhase.ABORTED])
@pytest.mark.parametrize("output", ["table", "json", "name"])
def test_whatever_did_not_succeed_ends_with_status_1_and_its_reason(
    played: Played, phase: PromotionPhase, output: str
) -> None:
    tolerated = step(StepStatus.FAILED, "tolerated", continue_on_error=True)
    worst = step(StepStatus.ABORTED if phase is PromotionPhase.ABORTED else StepStatus(phase.value), "no\nentry")
    played.course = [view(phase, tolerated, worst, message="no\nentry")]
    result = run(played, "promote", "-p", "shop", "--stage", "dev", "--freight", "x", "--wait", "-o", output)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: promotion dev.01.1b54a94 {phase.value}: ")
    assert result.stderr.splitlines()[-1].endswith("no entry")
    if output == "json":
        assert json.loads(result.stdout)["status"]["phase"] == phase.value


def test_a_refusal_is_an_error_with_its_reason(played: Played) -> None:
    played.admission = Admission(accepted=False, name="x", reason="not verified in Stage dev")
    result = run(played, "promote", "-p", "shop", "--stage", "prod", "--freight", "x", "--wait")
    assert (result.exit_code, result.stderr) == (1, "error: refused: not verified in Stage dev\n")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C means what it means in a process of its own, whatever servers that ran in this one have left behind."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_who_stops_waiting_hears_that_the_promotion_goes_on(played: Played, ctrl_c: None) -> None:
    played.course, played.interrupted = [view(PromotionPhase.RUNNING)], True
    result = run(played, "promote", "-p", "shop", "--stage", "dev", "--freight", "x", "--wait")
    assert result.exit_code == 130
    assert result.stdout.splitlines()[-1] == (
        "no longer waiting; dev.01.1b54a94 goes on. `towpath logs promotion dev.01.1b54a94 -p shop` shows it"
    )


def test_the_live_table_shows_steps_with_their_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = StringIO()
    monkeypatch.setattr(
        progress, "console", lambda _: Console(file=stream, force_terminal=True, width=100, color_system="standard")
    )
    with progress.LiveTable(stream) as table:
        table.show(view(PromotionPhase.RUNNING, step(StepStatus.FAILED, "the branch is protected"), started_at=NOW))
        table.say("no worker answers")
    drawn = click.unstyle(stream.getvalue())
    assert "push (git-push)" in drawn
    assert "the branch is protected" in drawn
    assert "no worker answers" in drawn


# Configuration


def test_the_default_project_comes_from_the_option_the_environment_then_the_file(played: Played) -> None:
    assert run(played, "config", "get-project").exit_code == 1
    assert run(played, "config", "set-project", "Shop").stdout == "default project: shop\n"
    assert run(played, "config", "get-project").stdout == "shop\n"
    for arguments, env, project in (
        ([], {}, "shop"),
        ([], {"TOWPATH_PROJECT": "other"}, "other"),
        (["-p", "third"], {"TOWPATH_PROJECT": "other"}, "third"),
    ):
        run(played, "promote", *arguments, "--stage", "dev", "--freight", "x", env=env)
        assert played.asked[-1][0] == project
    viewed = yaml.safe_load(run(played, "config", "view").stdout)
    assert viewed == {"path": str(configuration_path()), "project": "shop"}
    assert run(played, "config", "set-project", "").stdout == "no default project\n"


def test_a_project_that_is_not_there_is_chosen_with_a_warning(played: Played) -> None:
    known = run(played, "config", "set-project", "shop")
    assert (known.exit_code, known.stderr) == (0, "")
    unknown = run(played, "config", "set-project", "shpo")
    assert (unknown.exit_code, unknown.stdout) == (0, "default project: shpo\n")
    assert unknown.stderr.startswith("warning: there is no Project shpo so far")
    # Choosing needs no server.
    offline = run(ServerSilent("nobody there"), "config", "set-project", "other")
    assert (offline.exit_code, offline.stderr) == (0, "")


def test_a_text_of_several_lines_is_shown_as_it_is() -> None:
    output = {"commitMessage": "Updated a\n\n- image: 1.0\n", "blank": "a \nb", "commit": "1234567", "n": "1.10"}
    done = StepRecord(alias="commit", uses="git-commit", status=StepStatus.SUCCEEDED, output=output)
    log = promotion_log(view(PromotionPhase.SUCCEEDED, done, override_window="the shop is down"))
    text = "\n".join(log)
    assert "commitMessage: |" in text
    assert "\n             - image: 1.0\n" in text
    assert "override of a closed promotion window: the shop is down" in text
    assert yaml.safe_load(as_yaml(output)) == output


def test_a_broken_configuration_says_which_file(played: Played) -> None:
    path = configuration_path()
    path.parent.mkdir(parents=True)
    path.write_text("{")
    result = run(played, "get", "stages")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {path}: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(shell: str) -> None:
    assert "_TOWPATH_COMPLETE" in run(object(), "completion", shell).stdout


def test_kinds_and_commands_are_completed() -> None:
    environment = {"_TOWPATH_COMPLETE": "bash_complete", "COMP_WORDS": "towpath get pro", "COMP_CWORD": "2"}
    result = run(object(), env=environment, prog_name="towpath")
    assert "plain,promotions" in result.stdout.splitlines()


def test_a_backup_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    for text in ("{}", '{"apiVersion": "towpath/v9", "kind": "Backup", "createdAt": "2026-01-02T03:04:05Z"}', "no"):
        file.write_text(text)
        result = run(AssertionError("asked a server"), "restore", str(file))
        assert result.exit_code == 1
        assert result.stderr.startswith("error: this is ")
