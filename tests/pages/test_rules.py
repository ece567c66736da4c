"""What the page says of things: states, verdicts, differences, charts, groups; whatever the input."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model.promotions import StepRecord
from model.steps import StepStatus
from tests.pages.yard import FIRST, SECOND, T0, Yard, freight, held, promotion_view, stage, verification, warehouse
from web.pages import measurements
from web.pages.artifacts import artifacts, changes, commit_url, safe_url
from web.pages.cards import stage_card, warehouse_card
from web.pages.colours import stage_colour
from web.pages.discoveries import discoveries
from web.pages.drawing import TIMELINE, Drawing, View, timeline
from web.pages.grouping import fold, labels
from web.pages.reach import Where, reach
from web.pages.rendering import render
from web.pages.scene import Shot, patch
from web.pages.states import Tone
from web.pages.views import hint, step_views

NOW = datetime.fromisoformat(T0) + timedelta(hours=1)
ALIASES = {FIRST["metadata"]["name"]: "green-quail", SECOND["metadata"]["name"]: "cool-eel"}


def last(phase: str, message: str = "") -> dict[str, Any]:
    return {"lastPromotion": {"name": "dev.1.a", "finishedAt": T0, "status": {"phase": phase, "message": message}}}


@pytest.mark.parametrize(
    ("status", "tone", "word", "detail"),
    [
        ({}, Tone.IDLE, "No Freight yet", ""),
        (held(FIRST, "Successful", **last("Succeeded")), Tone.GOOD, "Verified", ""),
        (held(FIRST, **last("Succeeded")), Tone.GOOD, "Promoted", ""),
        (held(FIRST, "Running", **last("Succeeded")), Tone.BUSY, "Verifying", ""),
        (held(FIRST, "Failed", **last("Succeeded")), Tone.BAD, "Verification failed", ""),
        (held(FIRST, "Successful", **last("Errored", "no such host")), Tone.BAD, "Errored", "no such host"),
        (held(FIRST, "Successful", **last("Aborted")), Tone.WARN, "Aborted", ""),
        ({"currentPromotion": {"name": "dev.1.a"}}, Tone.BUSY, "Promoting", ""),
        (held(FIRST, "Failed", currentPromotion={"name": "dev.1.a"}), Tone.BUSY, "Promoting", ""),
    ],
)
def test_a_stage_says_what_it_is_about(status: dict[str, Any], tone: Tone, word: str, detail: str) -> None:
    doing = stage_card(stage("dev", **status), None, ALIASES).doing
    assert (doing.tone, doing.word, doing.detail) == (tone, word, detail)


def test_a_running_promotion_names_its_step_and_how_far_it_is() -> None:
    steps = [{"uses": "git-clone", "as": "clone"}, {"uses": "git-push", "as": "push"}]
    promotion = {"spec": {"steps": steps}, "status": {"currentStep": 1, "startedAt": T0}}
    doing = stage_card(stage("dev", currentPromotion={"name": "dev.1.a"}), promotion, {}).doing
    assert (doing.detail, doing.done, doing.steps) == ("push", 1, 2)


def test_bad_health_and_what_stops_the_line_are_seen_though_all_went_well() -> None:
    good = held(FIRST, "Successful", **last("Succeeded"))
    assert stage_card(stage("dev", **good), None, ALIASES).tone is Tone.GOOD
    assert stage_card(stage("dev", **good | {"health": {"status": "Unhealthy"}}), None, {}).tone is Tone.BAD
    frozen = stage_card(
        stage("dev", **good, freezes=[{"scope": "Stage dev", "actor": "email:a@b.c", "reason": "fair"}]), None, {}
    )
    assert frozen.tone is Tone.WAIT
    assert frozen.frozen == "Stage dev is frozen by email:a@b.c: fair"
    thawed = stage_card(stage("dev", **good, freezes=[{"scope": "Stage dev", "thawedAt": T0}]), None, {})
    assert (thawed.frozen, thawed.tone) == ("", Tone.GOOD)
    waits = stage_card(
        stage("dev", **good, queue=[{"name": "p", "freight": "f"}], waiting="another has the turn"), None, {}
    )
    assert (waits.waiting, waits.queued, waits.tone) == ("another has the turn", 1, Tone.WAIT)
    hold = {"freightName": FIRST["metadata"]["name"], "actor": "email:a@b.c"}
    held_back = stage_card(stage("dev", **good, effectiveAutoPromotionHolds={"Warehouse/cargo": hold}), None, ALIASES)
    assert held_back.held == "auto-promotion is held at green-quail by email:a@b.c"


def test_a_warehouse_says_why_it_finds_nothing() -> None:
    failed = {"type": "Ready", "status": "False", "reason": "DiscoveryFailed", "message": "registry: 503"}
    card = warehouse_card(warehouse(conditions=[failed]), 3)
    assert (card.tone, card.word, card.detail, card.freight) == (Tone.BAD, "Discovery failed", "registry: 503", 3)


def test_selected_freight_is_judged_for_every_stage() -> None:
    yard = Yard.small()
    yard.stages["soaks"] = stage("soaks", "dev")
    yard.stages["soaks"]["spec"]["requestedFreight"][0]["sources"]["requiredSoakTime"] = "2h"
    yard.stages["other"] = stage("other", warehouse="another")
    yard.stages["moving"] = stage("moving", "dev", currentPromotion={"name": "p", "freight": {"name": "a" * 40}})
    found = reach(FIRST, yard.stages, NOW)
    assert {name: verdict.where for name, verdict in found.items()} == {
        "dev": Where.HERE,
        "staging": Where.OPEN,
        "prod": Where.CLOSED,
        "prod-east": Where.CLOSED,
        "soaks": Where.SOON,
        "other": Where.FOREIGN,
        "moving": Where.COMING,
    }
    assert found["dev"].verified
    assert found["staging"].reason == "verified in Stage dev"
    assert found["prod-east"].reason == "not verified in Stage prod"
    assert found["soaks"].at == "2026-01-02T05:04:05Z"


def test_a_difference_shows_what_changes_first_and_where_it_can_be_read() -> None:
    after = {
        **SECOND,
        "images": [
            {
                **SECOND["images"][0],
                "annotations": {
                    "org.opencontainers.image.url": "https://shop.example.com",
                    "org.opencontainers.image.documentation": "javascript:alert(1)",
                },
            }
        ],
    }
    after["charts"] = [{"repoURL": "https://charts.example.com", "name": "shop", "version": "2.0.0"}]
    before = {**FIRST, "artifacts": [{"subscriptionName": "flags", "version": "7"}]}
    found = changes(artifacts(before), artifacts(after))
    shown = [
        (change.of.kind, change.before and change.before.version, change.after and change.after.version)
        for change in found
    ]
    assert shown == [
        ("image", "1.0.0", "1.1.0"),
        ("commit", "aaaaaaa", "bbbbbbb"),
        ("chart", None, "2.0.0"),
        ("artifact", "7", None),
    ]
    image, commit = found[0].after, found[1].after
    assert image is not None
    assert commit is not None
    assert [(link.text, link.url) for link in image.links] == [("home page", "https://shop.example.com")]
    assert (commit.detail, commit.links[0].url) == ("Sell 1.1.0", f"https://github.com/example/shop/commit/{'b' * 40}")
    assert all(change.same for change in changes(artifacts(FIRST), artifacts(FIRST)))


@pytest.mark.parametrize(
    ("repository", "url"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b/commit/c0ffee"),
        ("https://gitlab.example.com/a/b", "https://gitlab.example.com/a/b/-/commit/c0ffee"),
        ("https://bitbucket.org/a/b", "https://bitbucket.org/a/b/commits/c0ffee"),
        ("https://git.example.com/a/b", ""),
        ("git@github.com:a/b.git", ""),
        ("https://[broken", ""),
    ],
)
def test_commits_are_linked_where_the_address_is_known(repository: str, url: str) -> None:
    assert commit_url(repository, "c0ffee") == url


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//host", "/path", "ftp://host", "https://[x"]
)
def test_only_the_web_is_linked_to(url: str) -> None:
    assert safe_url(url) == ""


@pytest.mark.parametrize(
    ("annotated", "colour"),
    [
        ("red", "red"),
        (" Amber ", "amber"),
        ("grey", "gray"),
        ("#3b82f6", "blue"),
        ("#f00", "red"),
        ("expression(1)", None),
        (7, None),
    ],
)
def test_stage_colours_are_of_the_palette_whatever_is_annotated(annotated: object, colour: str | None) -> None:
    found = stage_colour("dev", annotated)
    assert found == (colour or stage_colour("dev", ""))


@pytest.mark.parametrize(
    ("conditions", "limit"),
    [
        (["result < 0.05"], 0.05),
        (["result[0] >= 0.95"], 0.95),
        (["asFloat(result) <= -3"], -3.0),
        (["default(result, 0) > 10"], 10.0),
        (["all(result, # > 3)", "result > 5"], 5.0),
        (["len(result) < 3"], None),
        ([], None),
    ],
)
def test_the_threshold_is_what_the_condition_compares_the_result_to(conditions: list[str], limit: float | None) -> None:
    assert measurements.limit(conditions) == limit


def test_measurements_become_points_within_the_chart_and_on_the_right_side_of_the_threshold() -> None:
    (view,) = measurements.metric_views(verification("0.01", "[0.02]", "0.2", "not a number", '{"a": 1}', "NaN"))
    chart = view.chart
    assert chart is not None
    assert chart.threshold is not None
    assert [point.value for point in chart.points] == [0.01, 0.02, 0.2]
    assert all(0 <= point.x <= measurements.WIDTH and 0 <= point.y <= measurements.HEIGHT for point in chart.points)
    assert chart.points[2].y < chart.threshold < chart.points[0].y
    assert chart.limit == "0.05"
    assert len(view.measurements) == 6


@pytest.mark.parametrize("values", [[], ["x"], ["0"], ["5", "5"], ["-1", "1e308"], ["true"]])
def test_any_values_can_be_shown(values: list[str]) -> None:
    chart = measurements.chart([{"value": value, "phase": "Failed"} for value in values], ["result < 0"])
    assert (chart is None) == (values in ([], ["x"], ["true"]))


def test_candidates_say_why_they_were_taken_or_not() -> None:
    found = {
        "discoveredAt": T0,
        "images": [
            {
                "repoURL": "registry.example.com/shop",
                "references": [
                    {"tag": "1.2.0", "digest": "sha256:1"},
                    {"tag": "1.1.0", "digest": "sha256:2"},
                    {"tag": "1.0.9", "digest": "sha256:3"},
                ],
            }
        ],
    }
    images, commits = discoveries(warehouse(discoveredArtifacts=found), [SECOND, FIRST], ALIASES)
    assert [(entry.version, entry.taken) for entry in images.candidates] == [
        ("1.2.0", False),
        ("1.1.0", True),
        ("1.0.9", False),
    ]
    assert [entry.reason.partition(":")[0].partition(",")[0] for entry in images.candidates] == [
        "the best",
        "in Freight cool-eel",
        "not the best",
    ]
    assert commits.candidates == ()
    assert ("versions", "^1.0.0") in images.rules


def test_stages_fold_by_label_and_the_worst_is_seen() -> None:
    cards = {}
    for name, region, status in (
        ("a", "eu", held(FIRST, "Successful")),
        ("b", "eu", last("Failed")),
        ("c", "us", {}),
        ("d", "us", {}),
        ("e", "", {}),
    ):
        cards[name] = stage_card(stage(name, labels={"region": region} if region else {}, **status), None, ALIASES)
    assert labels(cards.values()) == ["region"]
    folded = fold(cards, "region", ["us"])
    assert set(folded.stages) == {"c", "d", "e"}
    assert folded.groups["eu"].tones[0] == (Tone.BAD, 1)
    assert folded.node_of["a"] == folded.node_of["b"] == "group:eu"


async def test_only_what_changed_is_sent() -> None:
    yard = Yard.small()
    drawing = Drawing("shop")
    before = Shot.of(drawing.pipeline(await yard.snapshot("shop"), View()))
    places = dict(
        re.findall(r'id="(stage-[^"]+)"[^>]*?(data-x="\d+" data-y="\d+")', "".join(before.scene.parts.values()))
    )
    yard.stages["staging"] = stage("staging", "dev", colour="amber", **held(SECOND, **last("Succeeded")))
    after = Shot.of(drawing.pipeline(await yard.snapshot("shop"), View()))
    news = patch(before.scene, after)
    assert set(news["parts"]) == {"stage-staging", "summary"}
    assert news["lists"] == {}
    assert places["stage-staging"] in news["parts"]["stage-staging"]
    assert set(patch(None, after)["parts"]) == set(after.scene.parts)
    del yard.stages["prod-east"]
    gone = Shot.of(drawing.pipeline(await yard.snapshot("shop"), View()))
    assert "stage-prod-east" not in patch(after.scene, gone)["lists"]["nodes"]


async def test_the_list_follows_the_way() -> None:
    scene = Drawing("shop").pipeline(await Yard.small().snapshot("shop"), View("list"))
    assert scene.lists["rows"] == ["row-dev", "row-staging", "row-prod", "row-prod-east"]


def test_the_timeline_shows_the_latest_and_whatever_is_in_use() -> None:
    pieces = {
        f"{place:040}": freight(f"{place:040}", f"f{place}", "1", at=f"2026-01-01T00:{place:02}:00Z")
        for place in range(50)
    }
    pieces[f"{3:040}"]["status"] = {"currentlyIn": {"dev": {"since": T0}}}
    shown = timeline(pieces)
    assert len(shown) == TIMELINE + 1
    assert (shown[0], shown[-1]) == (f"{49:040}", f"{3:040}")


def test_a_step_that_went_wrong_says_what_to_do() -> None:
    said = {status: hint(StepRecord(alias="push", uses="git-push", status=status)) for status in StepStatus}
    assert {status for status, words in said.items() if words} == {
        StepStatus.FAILED,
        StepStatus.ERRORED,
        StepStatus.ABORTED,
    }


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def test_whatever_comes_from_outside_is_text() -> None:
    yard = Yard.small()
    piece = freight("a" * 40, HOSTILE, HOSTILE, currentlyIn={"dev": {"since": T0}})
    piece["commits"][0] |= {"message": HOSTILE, "author": HOSTILE, "repoURL": HOSTILE}
    piece["images"][0]["annotations"] = {"org.opencontainers.image.url": f"javascript:{HOSTILE}"}
    yard.freight = {"a" * 40: piece}
    status = held(piece, "Failed", **last("Failed", HOSTILE), queue=[{"name": "p", "freight": "f"}], waiting=HOSTILE)
    yard.stages["dev"] = stage("dev", colour=HOSTILE, labels={"x": HOSTILE}, **status)
    snapshot = await yard.snapshot("shop")
    for view in (View(), View("list"), View(group="x")):
        html = "".join(Drawing("shop").pipeline(snapshot, view).parts.values())
        assert "<script" not in html
        assert "<img" not in html
    view = promotion_view(
        "dev.1.a",
        {
            "alias": HOSTILE,
            "uses": "x",
            "status": "Failed",
            "message": HOSTILE,
            "output": {"a": HOSTILE},
            "warnings": [HOSTILE],
        },
        phase="Failed",
        message=HOSTILE,
    )
    html = render(
        "promotion.html",
        project="shop",
        may=frozenset(),
        view=view,
        steps=step_views(view),
        created_at=T0,
        started_at=T0,
        finished_at="",
        over=True,
        done=0,
        temporal="",
    )
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


# Colours

STYLES = (Path(__file__).parents[2] / "web/static/towpath.css").read_text()


def _tokens(selector: str) -> dict[str, str]:
    block = re.search(rf"^{re.escape(selector)} \{{(.*?)^\}}", STYLES, re.DOTALL | re.MULTILINE)
    assert block is not None
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block[1]))


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("selector", [":root", ':root[data-theme="dark"]'])
def test_all_text_can_be_read_in_light_and_dark(selector: str) -> None:
    tokens = _tokens(":root") | _tokens(selector)
    grounds = ["ground", "surface", "raised", "sunken"]
    pairs = [(text, ground) for text in ("text", "muted", "accent") for ground in grounds]
    tones = [tone.value for tone in Tone]
    pairs += [(tone, ground) for tone in tones for ground in ("surface", "raised", f"{tone}-tint")]
    pairs += [("on-accent", "accent"), ("text", "busy-tint"), ("muted", "busy-tint"), ("ground", "text")]
    pairs += [("text", f"{tone}-tint") for tone in tones]
    weak = {
        pair: round(_contrast(tokens[pair[0]], tokens[pair[1]]), 2)
        for pair in pairs
        if _contrast(tokens[pair[0]], tokens[pair[1]]) < 4.5
    }
    assert not weak, "WCAG 2.2 AA wants 4.5 for text"
    edges = [("line-strong", ground) for ground in ("surface", "raised", "ground")] + [
        ("focus", ground) for ground in grounds
    ]
    faint = {
        pair: round(_contrast(tokens[pair[0]], tokens[pair[1]]), 2)
        for pair in edges
        if _contrast(tokens[pair[0]], tokens[pair[1]]) < 3
    }
    assert not faint, "WCAG 2.2 AA wants 3 for borders of controls and focus"


def test_no_colour_stands_outside_the_tokens() -> None:
    rest = re.sub(r"^:root[^{]*\{.*?^\}", "", STYLES, flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*;)|rgba?\(", rest)
