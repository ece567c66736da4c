"""The page in a real browser, of a played Project: by mouse, by keyboard, in the dark, on a phone, and offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import OpenPage
from tests.pages.serving import Served
from tests.pages.test_rules import HOSTILE, last
from tests.pages.yard import FIRST, SECOND, T0, Yard, freight, held, promotion_view, stage, verification

AXE = Path(__file__).parent / "vendor/axe.min.js"
RUN = f"staging.{'0' * 26}.bbbbbbb"


def connected(page: Page) -> Page:
    """The page, once its stream is open."""
    expect(page.locator("body")).to_have_attribute("data-connected", "yes")
    return page


def violations(page: Page) -> list[str]:
    """What axe-core says against it, by the rules of WCAG 2.2 AA and its own."""
    # Run in a world beside the page's: its policy allows no script of others, and need not for this.
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)"
    )
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


def test_freight_is_promoted_by_mouse(served: Served, visit: OpenPage) -> None:
    page = connected(visit())
    page.get_by_role("option", name="green-quail").click()
    expect(page.locator("#stage-staging [data-verdict]")).to_contain_text("may go here")
    expect(page.locator("#stage-dev [data-verdict]")).to_contain_text("is here, verified")
    expect(page.locator("#stage-prod-east [data-verdict]")).to_have_attribute("title", "not verified in Stage prod")
    page.get_by_role("button", name="Promote to staging").click()
    dialog = page.get_by_role("dialog", name="Promote to staging")
    expect(dialog).to_contain_text("Sell 1.0.0")
    expect(dialog.get_by_role("link", name="commit")).to_have_attribute(
        "href", f"https://github.com/example/shop/commit/{'a' * 40}"
    )
    dialog.get_by_text("What it would commit").click()
    expect(dialog.locator(".diff .add")).to_contain_text("tag: 1.1.0")
    served.yard.refusal = "Stage staging is being deleted"
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog.get_by_role("alert")).to_have_text("Stage staging is being deleted")
    served.yard.refusal = ""
    # Another piece is looked at, and what would change with it.
    dialog.get_by_text("cool-eel").click()
    expect(dialog.locator("#difference")).to_contain_text("Not available: not verified in Stage dev")
    dialog.get_by_text("green-quail").first.click()
    expect(dialog.locator("#difference")).not_to_contain_text("Not available")
    dialog.get_by_role("button", name="Promote").click()
    expect(page.locator(".toast")).to_contain_text("green-quail goes to staging")
    assert served.yard.done == ["promote staging aaaaaaa by admin", "wrote shop Stage staging"]


def test_everything_is_done_by_keyboard(served: Served, visit: OpenPage) -> None:
    page = connected(visit())
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="green-quail")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("s")
    expect(page.locator("#warehouse-cargo .cover")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#stage-staging .cover")).to_be_focused()
    page.keyboard.press("p")
    expect(page.get_by_role("radio", name="green-quail")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("goes to staging")
    expect(page.locator("#stage-staging .cover")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("staging")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.type("downstream prod")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("To prod-east: one promotion each.")
    page.keyboard.press("Escape")
    page.keyboard.press("l")
    expect(page.locator("#row-staging")).to_be_visible()
    assert served.yard.done[0] == "promote staging aaaaaaa by admin"


def test_what_changes_is_shown_in_its_place_and_a_lost_connection_heals(served: Served, visit: OpenPage) -> None:
    page = connected(visit())
    page.get_by_role("button", name="Larger").click()
    page.locator("#filter").fill("sta")
    page.evaluate("window.mark = document.getElementById('stage-staging')")
    before = page.locator("#canvas").get_attribute("style")
    running = {
        "spec": {"steps": [{"as": "clone"}, {"as": "push"}], "stage": "staging"},
        "status": {"currentStep": 1},
        "metadata": {},
    }

    def promote(yard: Yard) -> None:
        yard.stages["staging"] = stage("staging", "dev", colour="amber", currentPromotion={"name": RUN})
        yard.promotions[RUN] = running

    served.change(promote)
    expect(page.locator("#stage-staging .state")).to_contain_text("Promoting")
    expect(page.locator("#stage-staging .state")).to_contain_text("push 2/2")
    assert page.evaluate("window.mark === document.getElementById('stage-staging')")
    assert page.locator("#canvas").get_attribute("style") == before
    expect(page.locator("#filter")).to_be_focused()
    expect(page.locator("#stage-dev.dim")).to_have_count(1)
    served.stop()
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    served.yard.stages["staging"] = stage("staging", "dev", **held(FIRST, **last("Succeeded")))
    del served.yard.stages["prod-east"]
    served.yard.version += 1
    served.start()
    expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator("#stage-staging .state")).to_contain_text("Promoted")
    expect(page.locator("#stage-prod-east")).to_have_count(0)


LISTS = ("events", "settings")
DETAILS = (f"promotions/{RUN}", "verifications/dev.1.2", "stages/prod-east", "warehouses/cargo", f"freight/{'a' * 40}")


@pytest.mark.parametrize(
    ("dark", "phone", "others"),
    [(False, False, (*DETAILS, *LISTS)), (True, False, DETAILS[:2]), (False, True, DETAILS[1:3])],
    ids=["light", "dark", "phone"],
)
def test_nobody_is_shut_out(served: Served, visit: OpenPage, dark: bool, phone: bool, others: tuple[str, ...]) -> None:
    furnish(served.yard)
    page = connected(visit(dark=dark, phone=phone))
    if phone:
        expect(page.locator("#row-staging")).to_be_visible()
    page.get_by_role("option", name="green-quail").click()
    expect(page.locator("[data-verdict]").first).to_be_visible()
    page.locator("#stage-staging .cover, #row-staging .cover").click()
    expect(page.locator("#panel h2")).to_have_text("staging")
    assert violations(page) == []
    page.locator("#panel").get_by_role("button", name="Promote…").click()
    expect(page.get_by_role("dialog", name="Promote to staging")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for path in others:
        page.goto(f"{served.url}/projects{f'/shop/{path}' if path else ''}")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def furnish(yard: Yard) -> None:
    """A failed Promotion, a failed verification, and a Stage that is frozen and in trouble."""
    clone = {"alias": "clone", "uses": "git-clone", "status": "Succeeded", "startedAt": T0, "finishedAt": T0}
    push = {"alias": "push", "uses": "git-push", "status": "Failed", "startedAt": T0, "finishedAt": T0}
    steps = ({**clone, "output": {"commit": "c0ffee"}}, {**push, "message": "rejected"}, {"alias": "pr", "uses": "pr"})
    ended = {"message": "rejected", "finishedAt": T0, "actor": "email:someone@example.com"}
    yard.views[RUN] = promotion_view(RUN, *steps, phase="Failed", **ended)
    yard.verifications["dev.1.2"] = verification("0.01", "0.2")
    freeze = {"scope": "Stage prod-east", "actor": "admin", "reason": "fair", "since": T0}
    troubled = held(FIRST, "Failed", freezes=[freeze], **last("Failed", "no"))
    yard.stages["prod-east"] = stage("prod-east", "prod", **troubled)


def test_a_failed_promotion_says_what_to_do_and_runs_again_from_there(served: Served, visit: OpenPage) -> None:
    failed = {"alias": "push", "uses": "git-push", "status": "Errored", "startedAt": T0, "message": "no such host"}
    served.yard.views[RUN] = promotion_view(RUN, {**failed, "status": "Running", "message": ""})
    page = connected(visit(f"/projects/shop/promotions/{RUN}"))
    expect(page.locator("#step-1")).to_contain_text("Running")
    served.yard.views[RUN] = promotion_view(RUN, failed, phase="Errored", message="no such host")
    expect(page.locator("#step-1")).to_contain_text("no such host")
    expect(page.locator("#step-1")).to_contain_text("run it again from this step")
    link = page.get_by_role("link", name="Temporal UI")
    expect(link).to_have_attribute(
        "href", f"http://127.0.0.1:8233/namespaces/default/workflows/promotion%2Fshop%2F{RUN}"
    )
    page.get_by_role("button", name="Run again…").click()
    page.get_by_role("dialog").get_by_role("button", name="Run again").click()
    expect(page.locator(".toast")).to_have_count(1)
    assert served.yard.done[0] == "rerun staging failed by admin"


def test_a_step_that_asks_people_is_answered(served: Served, visit: OpenPage) -> None:
    schema = {"properties": {"window": {"type": "integer", "title": "Window"}, "loud": {"type": "boolean"}}}
    question = {"kind": "input", "display": "How long?", "inputSchema": schema, "askedAt": T0}
    asking = {"alias": "ask", "uses": "get-user-input", "status": "Running", "startedAt": T0, "question": question}
    served.yard.views[RUN] = promotion_view(RUN, asking)
    page = connected(visit(f"/projects/shop/promotions/{RUN}"))
    expect(page.locator("#step-1")).to_contain_text("How long?")
    page.get_by_role("button", name="Answer…").click()
    page.get_by_label("Window").fill("soon")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("Window: 'soon' is not a number")
    page.get_by_label("Window").fill("30")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.locator(".toast")).to_have_count(1)
    assert served.yard.done[0] == "input ask {'window': 30, 'loud': False} by admin"


def test_each_thing_to_do_does_it(served: Served, visit: OpenPage) -> None:
    found = {
        "discoveredAt": T0,
        "images": [{"repoURL": "registry.example.com/shop", "references": [{"tag": "1.2.0", "digest": "sha256:1"}]}],
    }
    served.yard.warehouses["cargo"]["status"]["discoveredArtifacts"] = found
    served.yard.stages["dev"] = stage("dev", **held(FIRST))
    served.yard.stages["dev"]["status"]["freightHistory"] += held(SECOND)["freightHistory"]
    page = connected(visit("/projects/shop/stages/dev"))
    toasts = page.locator(".toast")

    def do(button: str, *fields: tuple[str, str]) -> None:
        count = len([entry for entry in served.yard.done if entry.startswith("wrote")])
        page.locator("main").get_by_role("button", name=button).click()
        dialog = page.get_by_role("dialog")
        if button.endswith("…"):
            for label, text in fields:
                control = dialog.get_by_label(label)
                control.check() if text == "on" else control.fill(text)
            dialog.locator("button.main").click()
            expect(dialog).to_be_hidden()
        expect(toasts).to_have_count(count + 1)

    do("Verify again…")
    do("Refresh")
    do("Freeze…", ("Why", "fair"))
    do("Back to this…")
    page.goto(f"{served.url}/projects/shop/warehouses/cargo")
    toasts = page.locator(".toast:nth-child(n+0)")
    done = len(served.yard.done)
    page.get_by_role("button", name="Make Freight…").click()
    page.get_by_role("button", name="Make Freight", exact=True).click()
    expect(toasts).to_have_count(1)
    page.goto(f"{served.url}/projects/shop/freight/{'b' * 40}")
    page.get_by_role("button", name="Rename…").click()
    page.get_by_label("Alias").fill("best-eel")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(toasts).to_have_count(1)
    page.get_by_role("button", name="Approve…").click()
    page.locator("[name=stage][value=staging]").check()
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(toasts).to_have_count(2)
    acts = [entry for entry in served.yard.done if not entry.startswith("wrote")]
    assert acts == [
        "verify dev by admin",
        "refresh dev by admin",
        "freeze dev because fair by admin",
        "promote dev bbbbbbb by admin",
        "make cargo --image registry.example.com/shop=1.2.0 by admin",
        "alias bbbbbbb best-eel by admin",
        "approve staging bbbbbbb by admin",
    ]
    assert done == 8


def test_hostile_names_and_messages_are_shown_as_they_are(served: Served, visit: OpenPage) -> None:
    piece = freight(
        "a" * 40, HOSTILE, HOSTILE, verifiedIn={"dev": {"verifiedAt": T0}}, currentlyIn={"dev": {"since": T0}}
    )
    piece["commits"][0]["message"] = HOSTILE
    served.yard.freight = {"a" * 40: piece}
    served.yard.stages["dev"] = stage("dev", labels={"x": HOSTILE}, **held(piece, "Failed", **last("Failed", HOSTILE)))
    served.yard.views[RUN] = promotion_view(
        RUN, {"alias": HOSTILE, "uses": "x", "status": "Failed", "message": HOSTILE, "output": {"a": HOSTILE}}
    )
    alerts: list[str] = []
    page = visit()
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    connected(page).locator(".freight").click()
    expect(page.locator("#stage-staging [data-verdict]")).to_be_visible()
    page.get_by_role("button", name="Promote to staging").click()
    expect(page.locator("#dialog")).to_contain_text("<script>alert(1)</script>")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#palette-list li").first).to_be_visible()
    served.change(lambda yard: yard.stages.update(dev=stage("dev", **last("Errored", HOSTILE * 2))))
    expect(page.locator("#stage-dev .waits")).to_contain_text("<script>")
    page.goto(f"{served.url}/projects/shop/promotions/{RUN}")
    expect(page.locator("#step-1")).to_contain_text("<img src=x")
    assert alerts == []
    assert page.locator("img").count() == 0


def test_six_hundred_stages_can_be_read_and_found(served: Served, visit: OpenPage) -> None:
    yard = served.yard
    yard.stages = {}
    for team in range(75):
        previous: tuple[str, ...] = ()
        for name in ("dev", "test", "qa", "prod-a", "prod-b", "prod-c", "prod-d", "prod-e"):
            yard.stages[f"t{team:02}-{name}"] = stage(f"t{team:02}-{name}", *previous, labels={"team": f"t{team:02}"})
            previous = previous if name.startswith("prod") else (f"t{team:02}-{name}",)
    page = connected(visit())
    expect(page.locator("#stagehand")).to_have_attribute("data-detail", "far")
    expect(page.locator("#nodes .node")).to_have_count(601)
    page.keyboard.press("/")
    page.keyboard.type("t42-qa")
    expect(page.locator("#palette-list li").first).to_contain_text("t42-qa")
    page.keyboard.press("Escape")
    page.locator("#filter").fill("t42-")
    expect(page.locator("#nodes .node:not(.dim)")).to_have_count(8)
    page.get_by_label("Group by").select_option("team")
    expect(page.locator("#nodes .node")).to_have_count(76)
    connected(page).locator("#group-t42 .cover").click()
    expect(page.locator("#nodes .node")).to_have_count(83)
