"""Which tags are candidates, and in which order."""

from __future__ import annotations

import pytest

from model.selection import SelectionError, TagRules, by_version, platform_parts, shortened


@pytest.mark.parametrize(
    ("tags", "constraint", "strict", "expected"),
    [
        (["1.0.0", "1.10.0", "1.9.0"], "", True, ["1.10.0", "1.9.0", "1.0.0"]),
        (["v1.0.0", "latest", "1.2", "2", "1.2.3.4"], "", True, ["v1.0.0"]),
        (["v1.0.0", "latest", "1.2", "2", "1.2.3.4"], "", False, ["2", "1.2", "v1.0.0"]),
        (["0.9.9", "1.0.0", "1.9.9", "2.0.0"], "^1.0.0", True, ["1.9.9", "1.0.0"]),
        (["1.0.0", "1.0.1-rc.1"], "^1.0.0", True, ["1.0.0"]),
        (["1.0.0", "1.0.1-rc.1"], "^1.0.0-0", True, ["1.0.1-rc.1", "1.0.0"]),
        (["1.0.0", "1.0.0-rc.1", "1.0.0-rc.2"], "", True, ["1.0.0", "1.0.0-rc.2", "1.0.0-rc.1"]),
        (["1.0", "1.0.0", "v1.0.0"], "", False, ["v1.0.0", "1.0.0", "1.0"]),
        (["01.0.0", "1.0.0"], "", True, ["1.0.0"]),
        (["1.0.0_build", "1.0.0"], "", True, ["1.0.0"]),
        ([], "^1.0.0", True, []),
    ],
)
def test_tags_by_version(tags: list[str], constraint: str, strict: bool, expected: list[str]) -> None:
    assert by_version(tags, constraint=constraint, strict=strict) == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (TagRules(), ["v1.0.0", "1.1.0-rc.1", "latest"]),
        (TagRules(allow=[r"^v"]), ["v1.0.0"]),
        (TagRules(allow=[r"^v", "st$"]), ["v1.0.0", "latest"]),
        (TagRules(ignore=["rc"]), ["v1.0.0", "latest"]),
        (TagRules(allow=[r"\d"], ignore=["^v"]), ["1.1.0-rc.1"]),
        (TagRules(ignore_names=["latest", "rc"]), ["v1.0.0", "1.1.0-rc.1"]),
    ],
)
def test_tags_by_name(rules: TagRules, expected: list[str]) -> None:
    assert rules.filter(["v1.0.0", "1.1.0-rc.1", "latest"]) == expected


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a**"])
def test_what_re2_cannot_read_is_refused(pattern: str) -> None:
    with pytest.raises(SelectionError, match="allowTagsRegexes"):
        TagRules(allow=[pattern]).filter(["a"])


def test_constraint_that_is_none_is_refused() -> None:
    with pytest.raises(SelectionError, match="not a version constraint"):
        by_version(["1.0.0"], constraint="latest and greatest")


@pytest.mark.parametrize(
    ("text", "parts"), [("linux/amd64", ("linux", "amd64", "")), ("linux/arm64/v8", ("linux", "arm64", "v8"))]
)
def test_platform_is_taken_apart(text: str, parts: tuple[str, str, str]) -> None:
    assert platform_parts(text) == parts


@pytest.mark.parametrize("text", ["linux", "linux/", "/amd64", "linux/arm/v7/x"])
def test_platform_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(SelectionError):
        platform_parts(text)


def test_subject_is_cut_at_eighty() -> None:
    assert shortened("a" * 80) == "a" * 80
    assert shortened("a" * 81) == "a" * 77 + "..."
