"""Merging of templates, arguments, and what is refused before the first measurement."""

from __future__ import annotations

from datetime import timedelta

import pytest

from model.arguments import Argument, SecretKey, fill_arguments, give_arguments, merge_templates
from model.base import Json
from model.metrics import InvalidAnalysis, MetricSchedule, apply_rules, read_metric, read_metrics

WEB: Json = {"web": {"url": "http://example.invalid"}}


def metric(**fields: Json) -> dict[str, Json]:
    return {"name": "m", "provider": WEB, **fields}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"provider": {}}, "no provider"),
        ({"provider": None}, "no provider"),
        ({"provider": {"web": {}, "job": {}}}, r"multiple providers specified \(web, job\)"),
        ({"count": 1, "failureLimit": 3}, r"count \(1\) must be >= failureLimit \+ consecutiveSuccessLimit \(3 \+ 0\)"),
        ({"count": 3, "interval": "1s", "failureLimit": 2, "consecutiveSuccessLimit": 2}, r"\(2 \+ 2\)"),
        ({"count": 1, "failureLimit": -1, "consecutiveSuccessLimit": 2}, "consecutiveSuccessLimit"),
        ({"count": 1, "inconclusiveLimit": 2}, "inconclusiveLimit"),
        ({"count": 2}, "interval must be given"),
        ({"count": -1}, "count must be >= 0"),
        ({"failureLimit": -2}, "failureLimit must be >= 0"),
        ({"failureLimit": -1}, "can't both be switched off"),
        ({"consecutiveSuccessLimit": -1}, "consecutiveSuccessLimit must be >= 0"),
        ({"inconclusiveLimit": -1}, "inconclusiveLimit must be >= 0"),
        ({"consecutiveErrorLimit": -1}, "consecutiveErrorLimit must be >= 0"),
        ({"interval": "soon"}, "interval: 'soon' is not a duration"),
        ({"initialDelay": "5"}, "initialDelay: '5' is not a duration"),
        ({"count": "many"}, "count must be a whole number, not 'many'"),
        ({"counts": 3}, "unknown field 'counts'"),
    ],
)
def test_metric_is_refused(fields: dict[str, Json], complaint: str) -> None:
    with pytest.raises(InvalidAnalysis, match=complaint):
        read_metric(metric(**fields))


def test_metric_is_read_with_numbers_given_as_text() -> None:
    read = read_metric(metric(interval="5s", initialDelay="1m", count="5", failureLimit="3", consecutiveErrorLimit=0))
    assert read == MetricSchedule(
        name="m",
        provider="web",
        interval=timedelta(seconds=5),
        initial_delay=timedelta(minutes=1),
        count=5,
        failure_limit=3,
        consecutive_error_limit=0,
    )


@pytest.mark.parametrize(
    ("fields", "count"),
    [({}, 1), ({"count": 0}, 1), ({"interval": "5s"}, None), ({"interval": "5s", "count": 4}, 4), ({"count": 1}, 1)],
)
def test_effective_count(fields: dict[str, Json], count: int | None) -> None:
    assert read_metric(metric(**fields)).effective_count == count


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        ([], "no metrics specified"),
        ([metric(), metric()], r"metrics\[1\]: duplicate name 'm'"),
        ([metric(), metric(name="")], r"metrics\[1\]: name is missing"),
        ([metric(), metric(name="n", count=2)], r"metrics\[1\] \(n\): interval"),
    ],
)
def test_metrics_are_refused_with_their_place(metrics: list[dict[str, Json]], complaint: str) -> None:
    with pytest.raises(InvalidAnalysis, match=complaint):
        read_metrics(metrics)


@pytest.mark.parametrize(
    ("patterns", "dry"),
    [(["lat"], ["latency"]), ([".*"], ["latency", "errors"]), (["^err", "ncy$"], ["latency", "errors"]), ([], [])],
)
def test_dry_run_matches_unanchored(patterns: list[str], dry: list[str]) -> None:
    metrics = [MetricSchedule(name="latency"), MetricSchedule(name="errors")]
    apply_rules(metrics, [{"metricName": pattern} for pattern in patterns], [])
    assert [schedule.name for schedule in metrics if schedule.dry_run] == dry


@pytest.mark.parametrize(
    ("pattern", "complaint"), [("*", "not a regular expression"), ("other", "matches no metric; there are latency")]
)
def test_rule_that_matches_nothing_is_refused(pattern: str, complaint: str) -> None:
    with pytest.raises(InvalidAnalysis, match=rf"dryRun\[0\]: .*{complaint}"):
        apply_rules([MetricSchedule(name="latency")], [{"metricName": pattern}], [])
    with pytest.raises(InvalidAnalysis, match=r"measurementRetention\[0\]"):
        apply_rules([MetricSchedule(name="latency")], [], [{"metricName": pattern, "limit": 3}])


def test_retention_is_set_by_rule() -> None:
    metrics = [MetricSchedule(name="latency"), MetricSchedule(name="errors")]
    apply_rules(metrics, [], [{"metricName": "err", "limit": 2}, {"metricName": "lat", "limit": 0}])
    assert [schedule.retention for schedule in metrics] == [10, 2]


def test_templates_are_concatenated_in_order() -> None:
    merged = merge_templates(
        [
            {"metrics": [metric(name="a")], "dryRun": [{"metricName": "a"}], "args": [{"name": "x"}]},
            {"metrics": [metric(name="b")], "args": [{"name": "x", "value": "1"}, {"name": "y", "value": ""}]},
        ]
    )
    assert [entry["name"] for entry in merged.metrics] == ["a", "b"]
    assert merged.dry_run == [{"metricName": "a"}]
    assert merged.args == [Argument(name="x", value="1"), Argument(name="y", value="")]


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        ([{"metrics": [metric()]}, {"metrics": [metric()]}], "duplicate metric name 'm'"),
        ([{"dryRun": [{"metricName": "m"}]}, {"dryRun": [{"metricName": "m"}]}], "dryRun names metric 'm' twice"),
        (
            [{"measurementRetention": [{"metricName": "m"}, {"metricName": "m"}]}],
            "measurementRetention names metric 'm' twice",
        ),
        (
            [{"args": [{"name": "x", "value": "1"}]}, {"args": [{"name": "x", "value": "2"}]}],
            "conflicting values for argument 'x': '1' and '2'",
        ),
        ([{"templates": [{"templateName": "t"}]}], "spec.templates is not supported"),
        ([{"args": [{"name": "x", "value": 1}]}], "value must be a string"),
        ([{"args": [{"name": "x", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}]}], "fieldRef is not supported"),
    ],
)
def test_templates_that_conflict_are_refused(specs: list[dict[str, Json]], complaint: str) -> None:
    with pytest.raises(InvalidAnalysis, match=complaint):
        merge_templates(specs)


def test_stage_overrides_defaults_and_what_nobody_declares_is_reported() -> None:
    declared = [Argument(name="a", value="default"), Argument(name="b"), Argument(name="c", value="")]
    given = [Argument(name="a", value="mine"), Argument(name="b", value=""), Argument(name="z", value="lost")]
    arguments, ignored = give_arguments(declared, given)
    assert {argument.name: argument.value for argument in arguments} == {"a": "mine", "b": "", "c": ""}
    assert ignored == ["z"]


def test_argument_without_value_is_refused() -> None:
    with pytest.raises(InvalidAnalysis, match="argument 'b' has no value: give it one in the Stage's"):
        give_arguments([Argument(name="b")], [Argument(name="b")])


def test_argument_from_a_secret_shows_where_it_comes_from_not_what_it_is() -> None:
    secret = Argument(name="token", secret=SecretKey(name="web", key="token"))
    assert secret.shown() == {"name": "token", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}}
    assert Argument(name="t", template="${{ secret('web').token }}").shown() == {"name": "t", "value": "*****"}


def test_arguments_are_filled_in_at_any_depth() -> None:
    raw = {"a": "{{args.x}} and {{ args.y }}", "b": [{"{{args.x}}": 'say "{{args.y}}"'}], "c": 5, "d": "${x}"}
    assert fill_arguments(raw, {"x": "1", "y": 'line\n"two"'}) == {
        "a": '1 and line\n"two"',
        "b": [{"1": 'say "line\n"two""'}],
        "c": 5,
        "d": "${x}",
    }


@pytest.mark.parametrize("text", ["{{args.z}}", "{{other}}", "${{ vars.x }}", "{{ }}"])
def test_what_can_not_be_resolved_is_refused(text: str) -> None:
    with pytest.raises(InvalidAnalysis, match="failed to resolve"):
        fill_arguments(text, {"x": "1"})
