"""Receivers are found by paths that can't be guessed, take what is bounded and well-formed, and bear being replayed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.web.town import SECRET, Town, body_of, git, image, names, signed
from web.webhooks.debounce import Debounce
from web.webhooks.endpoint import MAX_BODY

REPO = "https://git.example.com/shop/web"
PUSH = {"X-GitHub-Event": "push"}


def push(branch: str = "main") -> bytes:
    return body_of({"ref": f"refs/heads/{branch}", "repository": {"clone_url": REPO}})


async def deliver(client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
    return await client.post(path, content=body, headers={**PUSH, **signed(body)})


async def test_everything_that_is_not_there_is_answered_alike(town: Town) -> None:
    path = town.receiver("github")
    kind, digest = path.split("/")[2:]
    answers = set()
    async with town.served() as client:
        for wrong in (
            "/",
            "/webhooks",
            "/webhooks/github",
            f"/webhooks/github/{digest[:-1]}0",
            f"/webhooks/gitlab/{digest}",
            f"{path}/",
            f"/{kind}/{digest}",
            f"/webhooks/nothing/{digest}",
        ):
            answer = await deliver(client, wrong, push())
            answers.add((answer.status_code, answer.text))
        answer = await client.get(path)
        answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":"not found"}')}


async def test_unknown_paths_cost_one_reading_at_most(town: Town) -> None:
    town.receiver("github")
    async with town.served() as client:
        # As it is served; the tests' own application reads each time.
        routes = client._transport.app.routes  # type: ignore[attr-defined]  # a test's transport
        (route,) = (route for route in routes if route.path == "/webhooks/{type}/{hash}")
        receivers = route.endpoint.__self__._receivers
        receivers._pause = 3600.0
        for number in range(20):
            assert (await deliver(client, f"/webhooks/github/{number:064x}", push())).status_code == 404
    assert town.readings == 1


async def test_urls_of_kargo_stay_what_they_were(town: Town) -> None:
    town.warehouse("web", git(REPO))
    path = town.receiver("github").removeprefix("/webhooks")
    async with town.served(base_url="https://webhooks.example.com") as client:
        assert (await deliver(client, path, push())).json() == {"msg": "refreshed 1 warehouse(s)"}
    async with town.served(base_url="https://towpath.example.com/deep/hooks/") as client:
        assert (await deliver(client, f"/deep/hooks{path}", push())).status_code == 200
        assert (await deliver(client, f"/webhooks{path}", push())).status_code == 200


async def test_a_receiver_of_the_cluster_reaches_all_projects(town: Town) -> None:
    town.warehouse("web", git(REPO))
    town.warehouse("copy", git(REPO), project="another")
    path = town.receiver("github", project="")
    async with town.served() as client:
        await deliver(client, path, push())
    assert sorted(town.done) == ["warehouse another/copy", "warehouse shop/web"]


async def test_a_receiver_whose_secret_is_missing_is_not_there_and_the_others_are(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.warehouse("web", git(REPO))
    lost = town.receiver("github", name="lost")
    (town.credentials / "shop" / "lost.yaml").unlink()
    path = town.receiver("github")
    async with town.served() as client:
        assert (await deliver(client, lost, push())).status_code == 404
        assert (await deliver(client, path, push())).status_code == 200
    assert "there is no Secret lost-secret in shop/ of the credentials directory" in caplog.text
    assert SECRET not in caplog.text


async def test_a_large_delivery_is_refused_whether_it_says_so_or_not(town: Town) -> None:
    path = town.receiver("github")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * (MAX_BODY // 20)

    async with town.served() as client:
        announced = await deliver(client, path, b" " * (MAX_BODY + 1))
        streamed = await client.post(path, content=endless(), headers=PUSH)
        fitting = await deliver(client, path, push() + b" " * (MAX_BODY - len(push())))
    assert [answer.status_code for answer in (announced, streamed, fitting)] == [413, 413, 200]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"commits": ' + b"9" * 5000 + b"}"]
)
async def test_garbage_is_refused(town: Town, body: bytes) -> None:
    path = town.receiver("github")
    async with town.served() as client:
        answer = await deliver(client, path, body)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid request body"})


async def test_a_thousand_replays_cost_two_refreshes(town: Town) -> None:
    town.warehouse("web", git(REPO))
    path = town.receiver("github")
    async with town.served(window=3600.0) as client:
        for _ in range(1000):
            assert (await deliver(client, path, push())).json() == {"msg": "refreshed 1 warehouse(s)"}
        assert town.done == ["warehouse shop/web"]
    # What came after the first is not lost: it is done at the window's end, or before the process ends.
    assert town.done == ["warehouse shop/web"] * 2


async def test_what_could_not_be_done_is_not_held_back_when_it_is_tried_again() -> None:
    debounce, tries = Debounce(3600.0), list[int]()

    async def act() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError

    with pytest.raises(OSError):
        await debounce.run("web", act)
    await debounce.run("web", act)
    assert len(tries) == 2
    await debounce.close()


async def test_failures_are_told_to_the_sender_and_the_others_are_refreshed(town: Town) -> None:
    for name in ("broken", "gone", "web"):
        town.warehouse(name, git(REPO))
    path = town.receiver("github")
    async with town.served() as client:
        answer = await deliver(client, path, push())
    assert (answer.status_code, answer.json()) == (500, {"error": "failed to refresh 1 of 3 warehouse(s)"})
    assert town.done == ["warehouse shop/web"]


async def test_a_warehouse_with_an_unreadable_rule_hinders_no_other(town: Town) -> None:
    town.warehouse("bad", git(REPO, branch="main", includePaths=["regex:("]))
    town.warehouse("web", git(REPO))
    path = town.receiver("github")
    body = body_of({"ref": "refs/heads/main", "repository": {"clone_url": REPO}, "commits": [{"modified": ["src/a"]}]})
    async with town.served() as client:
        assert (await deliver(client, path, body)).status_code == 200
    assert names(town.done) == ["bad", "web"]


async def test_without_temporal_senders_are_asked_to_try_again(town: Town) -> None:
    path = town.receiver("github")
    town.silent = True
    async with town.served() as client:
        answer = await deliver(client, path, push())
        assert (answer.status_code, answer.json()) == (503, {"error": "temporarily unavailable, try again"})
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_a_tag_of_an_image_is_no_ref_of_git(town: Town) -> None:
    town.warehouse("git", git("https://quay.example.com/shop/web"))
    town.warehouse("image", image("quay.example.com/shop/web", imageSelectionStrategy="Lexical"))
    path = town.receiver("quay")
    async with town.served() as client:
        await client.post(path, json={"docker_url": "quay.example.com/shop/web", "updated_tags": ["main"]})
    assert names(town.done) == ["image"]
