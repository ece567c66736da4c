"""gha-dispatch-workflow and gha-wait-for-workflow against a server that speaks GitHub's API for Actions."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from activities.outside import open_outside
from activities.settings import ActivitySettings
from activities.steps import github_actions
from activities.steps.registry import NotYet, StepErrored, StepFailed
from model.steps import FAILED
from tests.steps.bench import STARTED, Bench
from tests.steps.test_as_activities import run_activity

TOKEN = "token-of-the-test"
REPO = "https://github.example.com/team/app.git"


class Actions:
    """GitHub's API for one repository with the workflow deploy.yml."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.dispatched: list[dict[str, Any]] = []
        #: Whether it answers with the run's id: GitHub does, its older Enterprise Server refuses to be asked.
        self.tells_id = True
        #: Listings until a run that was dispatched appears in them.
        self.late = 0
        #: Dispatch, and break the connection, or answer 502, so many times.
        self.lose_answers = 0
        self.bad_gateways = 0
        self.next_id = 30433642
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, *, ref: str = "main", event: str = "workflow_dispatch", **changes: Any) -> int:
        self.next_id += 1
        run = {
            "id": self.next_id,
            "name": "Deploy",
            "display_title": "Deploy",
            "head_branch": ref,
            "event": event,
            "status": "queued",
            "conclusion": None,
            "html_url": f"https://github.example.com/team/app/actions/runs/{self.next_id}",
            "created_at": (STARTED + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.runs.append({**run, **changes})
        return self.next_id

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        root = "/api/v3/repos/team/app/actions"
        if match := re.fullmatch(rf"{root}/runs/(\d+)", path):
            run = next((run for run in self.runs if run["id"] == int(match[1])), None)
            return (200, run) if run else (404, {"message": "Not Found"})
        if path == f"{root}/workflows/deploy.yml/runs" and method == "GET":
            if self.late:
                self.late -= 1
                found = self.runs[:-1] if self.dispatched else self.runs
            else:
                found = self.runs
            shown = [run for run in found if run["event"] == query["event"][0]]
            return 200, {"total_count": len(shown), "workflow_runs": shown[::-1]}
        if path == f"{root}/workflows/deploy.yml/dispatches" and method == "POST":
            if "return_run_details" in body and not self.tells_id:
                return 422, {"message": 'Invalid request.\n\n"return_run_details" is not a permitted key.'}
            if body["ref"] == "gone":
                return 422, {"message": "No ref found for: gone"}
            self.dispatched.append(body)
            self.add(ref=body["ref"].removeprefix("refs/heads/"))
            if self.bad_gateways:
                self.bad_gateways -= 1
                return 502, {"message": "Server Error"}
            if self.lose_answers:
                self.lose_answers -= 1
                return 0, None
            url = f"{self.url}{root}/runs/{self.next_id}"
            return (
                (200, {"workflow_run_id": self.next_id, "run_url": url, "html_url": url})
                if self.tells_id
                else (204, None)
            )
        return 404, {"message": "Not Found"}


def _handler(actions: Actions) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, answer = 401, {"message": "Bad credentials"}
            else:
                status, answer = actions.answer(self.command, parts.path, parse_qs(parts.query), body)
            if status == 0:
                self.close_connection = True
                return
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 (http.server's names)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Actions]:
    monkeypatch.setattr(github_actions, "LOOK_INTERVAL", 0.01)
    actions = Actions()
    yield actions
    actions.stop()


def settings_of(actions: Actions, tmp_path: Path, token: str = TOKEN) -> ActivitySettings:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app", "labels": {"kargo.akuity.io/cred-type": "git"}},
        "stringData": {"repoURL": REPO, "username": "git", "password": token},
    }
    for project in ("guestbook", "demo"):
        directory = tmp_path / "credentials" / project
        directory.mkdir(parents=True)
        (directory / "secrets.yaml").write_text(yaml.safe_dump(secret))
        (directory / "secrets.yaml").chmod(0o600)
    return ActivitySettings(
        data_directory=tmp_path / "data",
        credentials_directory=tmp_path / "credentials",
        http_mirrors={"https://github.example.com/api/v3": f"{actions.url}/api/v3"},
    )


@pytest.fixture
def bench(actions: Actions, tmp_path: Path) -> Bench:
    return Bench(open_outside(settings_of(actions, tmp_path)))


async def dispatch(bench: Bench, *, repeated: bool = False, **config: Any) -> dict[str, Any]:
    given = {"repoURL": REPO, "workflowFile": "deploy.yml", "ref": "main", **config}
    return await bench.run("gha-dispatch-workflow", given, repeated=repeated)


class TestDispatch:
    async def test_gives_the_id_that_github_tells(self, bench: Bench, actions: Actions) -> None:
        inputs = {"environment": "dev", "tag": 1.1, "count": 3, "force": True}
        assert await dispatch(bench, inputs=inputs) == {"runID": actions.next_id}
        (sent,) = actions.dispatched
        assert sent["ref"] == "main"
        assert sent["inputs"] == {"environment": "dev", "tag": "1.1", "count": "3", "force": "true"}

    @pytest.mark.parametrize("ref", ["main", "refs/heads/main"])
    async def test_finds_the_run_where_it_does_not(self, bench: Bench, actions: Actions, ref: str) -> None:
        actions.tells_id = False
        actions.late = 3
        actions.add()
        other = actions.add(ref="other")
        output = await dispatch(bench, ref=ref)
        assert output == {"runID": other + 1}
        assert len(actions.dispatched) == 1

    async def test_two_promotions_at_once_get_a_run_each(self, bench: Bench, actions: Actions) -> None:
        actions.tells_id = False
        found = await asyncio.gather(dispatch(bench), dispatch(bench))
        assert {output["runID"] for output in found} == {run["id"] for run in actions.runs}
        assert len(actions.runs) == 2

    async def test_a_lost_attempt_that_had_dispatched_does_not_do_it_twice(
        self, bench: Bench, actions: Actions
    ) -> None:
        actions.add(created_at="2026-04-30T00:00:00Z")
        first = await dispatch(bench)
        actions.late = 2
        assert await dispatch(bench, repeated=True) == first
        assert len(actions.dispatched) == 1

    async def test_a_lost_attempt_that_had_not_is_made_up_for(self, bench: Bench, actions: Actions) -> None:
        actions.add(created_at="2026-04-30T00:00:00Z")
        assert await dispatch(bench, repeated=True, timeout=1) == {"runID": actions.next_id}
        assert len(actions.dispatched) == 1

    async def test_of_several_the_promotions_own_is_taken(self, bench: Bench, actions: Actions) -> None:
        actions.add()
        ours = actions.add(display_title=f"Deploy for {bench.promotion}")
        assert await dispatch(bench, repeated=True) == {"runID": ours}
        assert not actions.dispatched

    async def test_several_that_might_be_it_are_named(self, bench: Bench, actions: Actions) -> None:
        first, second = actions.add(), actions.add()
        with pytest.raises(StepErrored, match=rf"2 runs .*\({second}, {first}\).*ctx\.promotion") as caught:
            await dispatch(bench, repeated=True)
        assert caught.value.final
        assert not actions.dispatched

    @pytest.mark.parametrize("fault", ["lose_answers", "bad_gateways"])
    async def test_no_clear_answer_is_looked_into(self, bench: Bench, actions: Actions, fault: str) -> None:
        setattr(actions, fault, 1)
        assert await dispatch(bench) == {"runID": actions.next_id}
        assert len(actions.dispatched) == 1

    async def test_a_run_that_does_not_appear_is_an_error(self, bench: Bench, actions: Actions) -> None:
        actions.tells_id = False
        actions.late = 1_000_000
        with pytest.raises(StepErrored, match="no run of it appeared within 1 s") as caught:
            await dispatch(bench, timeout=1)
        assert caught.value.final
        assert len(actions.dispatched) == 1

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"ref": "gone"}, "No ref found for: gone"),
            ({"workflowFile": "other.yml"}, "404"),
            ({"repoURL": "https://github.example.com/team"}, "owner/repository"),
        ],
    )
    async def test_what_is_not_there(self, bench: Bench, config: dict[str, Any], words: str) -> None:
        with pytest.raises(StepErrored, match=words):
            await dispatch(bench, **config)

    async def test_a_wrong_token_is_not_shown(self, actions: Actions, tmp_path: Path) -> None:
        bench = Bench(open_outside(settings_of(actions, tmp_path, "another-token")))
        with pytest.raises(StepErrored, match="401") as caught:
            await dispatch(bench)
        assert "another-token" not in str(caught.value)


class TestWait:
    async def wait(self, bench: Bench, run: int, **config: Any) -> dict[str, Any]:
        return await bench.run("gha-wait-for-workflow", {"repoURL": REPO, "runID": run, **config})

    @pytest.mark.parametrize("status", ["queued", "in_progress", "waiting"])
    async def test_not_over_yet(self, bench: Bench, actions: Actions, status: str) -> None:
        run = actions.add(status=status)
        with pytest.raises(NotYet, match=f"{run} is {status}") as caught:
            await self.wait(bench, run)
        assert caught.value.after == timedelta(minutes=5)
        with pytest.raises(NotYet) as caught:
            await self.wait(bench, run, pollInterval=timedelta(seconds=30))
        assert caught.value.after == timedelta(seconds=30)
        with pytest.raises(NotYet) as caught:
            await self.wait(bench, run, pollInterval=timedelta(seconds=1))
        assert caught.value.after == timedelta(seconds=10)

    @pytest.mark.parametrize("conclusion", ["success", "failure", "timed_out"])
    async def test_any_conclusion_will_do(self, bench: Bench, actions: Actions, conclusion: str) -> None:
        run = actions.add(status="completed", conclusion=conclusion)
        assert await self.wait(bench, run) == {"conclusion": conclusion}
        assert await self.wait(bench, run, expectedConclusion=conclusion) == {"conclusion": conclusion}

    async def test_another_than_expected_is_a_clear_no(self, bench: Bench, actions: Actions) -> None:
        run = actions.add(status="completed", conclusion="failure")
        with pytest.raises(StepFailed, match="ended as failure, not as success: https://github") as caught:
            await self.wait(bench, run, expectedConclusion="success")
        assert caught.value.output == {"conclusion": "failure"}

    async def test_a_run_that_is_not_there(self, bench: Bench) -> None:
        with pytest.raises(StepErrored, match=r"reading workflow run 5 of team/app: .*404"):
            await self.wait(bench, 5)


async def test_as_activities_the_failed_run_fails_the_step(actions: Actions, tmp_path: Path) -> None:
    outside = open_outside(settings_of(actions, tmp_path))
    actions.add(created_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    given = {"repoURL": REPO, "workflowFile": "deploy.yml", "ref": "main"}
    result = await run_activity(outside, "gha-dispatch-workflow", given)
    assert result.output == {"runID": actions.next_id}
    actions.runs[-1].update(status="completed", conclusion="cancelled")
    waiting = {"repoURL": REPO, "runID": actions.next_id, "expectedConclusion": "success", "pollInterval": "30s"}
    with pytest.raises(ApplicationError, match="ended as cancelled") as caught:
        await run_activity(outside, "gha-wait-for-workflow", waiting)
    assert caught.value.type == FAILED
