"""Versions and constraints mean what they mean in Kargo (Masterminds/semver v3)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.semver import (
    SemverError,
    Version,
    difference,
    parse_constraint,
    parse_version,
    sort_versions,
)


@pytest.mark.parametrize(
    ("text", "strict", "loose"),
    [
        ("1.2.3", "1.2.3", "1.2.3"),
        ("v1.2.3", None, "1.2.3"),
        ("V1.2.3", None, None),
        ("1", None, "1.0.0"),
        ("1.10", None, "1.10.0"),
        ("v2", None, "2.0.0"),
        ("01.2.3", None, "1.2.3"),
        ("1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("1.2-beta", None, "1.2.0-beta"),
        ("1.2.3-01", None, None),
        ("1.2.3-0a", "1.2.3-0a", "1.2.3-0a"),
        ("1.2.3-", None, None),
        ("1.2.3+", None, None),
        ("1.2.3-a..b", None, None),
        ("1.2.3.4", None, None),
        ("1.x", None, None),
        ("latest", None, None),
        ("", None, None),
        (" 1.2.3", None, None),
        ("1.2.3\n", None, None),
        ("-1.2.3", None, None),
        ("18446744073709551615.0.0", "18446744073709551615.0.0", "18446744073709551615.0.0"),
        ("18446744073709551616.0.0", None, None),
        ("1" * 2000, None, None),
    ],
)
def test_strict_parsing_wants_three_segments_and_loose_parsing_fills_them_in(
    text: str, strict: str | None, loose: str | None
) -> None:
    for expected, is_strict in ((strict, True), (loose, False)):
        if expected is None:
            with pytest.raises(SemverError):
                parse_version(text, strict=is_strict)
        else:
            version = parse_version(text, strict=is_strict)
            assert str(version) == expected
            assert version.original == text


def test_versions_are_ordered_as_the_specification_says() -> None:
    ascending = [
        "0.9.9",
        "1.0.0-1",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-0",
        "1.9.0",
        "1.10.0",
        "2.0.0",
    ]
    versions = [parse_version(text) for text in ascending]
    assert sorted([*versions[7:], *versions[:7]]) == versions
    assert [version.original for version in sort_versions(versions)] == ascending[::-1]


def test_build_metadata_does_not_count_and_spelling_breaks_ties() -> None:
    plain, built, spelled = parse_version("1.2.3"), parse_version("1.2.3+7"), parse_version("v1.2.3")
    assert plain == built == spelled
    assert len({plain, built, spelled}) == 1
    assert [version.original for version in sort_versions([plain, spelled, built])] == ["v1.2.3", "1.2.3+7", "1.2.3"]


@pytest.mark.parametrize(
    ("constraint", "allowed", "refused"),
    [
        ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
        ("1.2.3", "1.2.3 v1.2.3 1.2.3+b", "1.2.4 1.2.3-rc.1"),
        ("=1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.x", "1.0.0 1.9.9", "2.0.0"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        ("1.X.*", "1.0.0 1.9.9", "2.0.0"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        ("!=1.2", "1.3.0 2.2.0", "1.2.0 1.2.7"),
        ("!=1", "2.0.0", "1.0.0 1.9.0"),
        (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.2"),
        (">11", "12.0.0", "11.0.0 11.1.0"),
        (">11.1", "11.2.0", "11.1.0 11.1.5"),
        (">=1.2", "1.2.0 2.0.0", "1.1.9"),
        ("=>1.2.3", "1.2.3", "1.2.2"),
        ("<1.2", "1.1.9", "1.2.0"),
        ("<=1.2", "1.2.9 1.1.0", "1.3.0"),
        ("<=1", "1.9.9", "2.0.0"),
        ("=<1.2.3", "1.2.3", "1.2.4"),
        ("^1.2.3", "1.2.3 1.9.0", "2.0.0 1.2.2"),
        ("^1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 1.0.0"),
        ("^0.2", "0.2.0 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        ("~>1.2.x", "1.2.9", "1.3.0"),
        ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.1.9 1.4.6"),
        ("1 - 2", "1.0.0 2.9.9", "3.0.0"),
        (">=1.0, <2.0", "1.0.0 1.9.9", "2.0.0 0.9.0"),
        (">=1.0 <2.0 !=1.5.0", "1.4.0", "1.5.0"),
        ("^1.2 || >=3, <3.5", "1.4.0 3.4.9", "2.0.0 3.5.0"),
        ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.5.0-rc.1 1.2.3", "1.2.3-beta.1 2.0.0"),
        (">=1.0.0-0", "1.0.0-alpha 1.0.0 2.0.0-rc.1", "0.9.0"),
        ("<2.0.0-0", "1.9.9", "2.0.0-rc.1 2.0.0"),
        (">=2.0.0-0 || 1.x", "1.0.0 2.0.0-rc.1", "1.0.0-rc.1"),
        (" ^1 ", "1.5.0", "2.0.0"),
        ("> 1.0  ,  < 2.0", "1.5.0", "2.0.0 1.0.0"),
        ("^v1.2", "1.3.0", "2.0.0"),
    ],
)
def test_constraints_allow_what_masterminds_allows(constraint: str, allowed: str, refused: str) -> None:
    parsed = parse_constraint(constraint)
    for text in allowed.split():
        assert parsed.allows(parse_version(text)), text
    for text in refused.split():
        assert not parsed.allows(parse_version(text)), text


@pytest.mark.parametrize(
    "constraint",
    ["", "foo", "^", ">>1", "1.2.3.4", "1.2,", ",1", "1,,2", "1|2", "1.2.3>1.0.0", "a - b", "1" * 2000],
)
def test_what_is_no_constraint_is_refused_with_its_text(constraint: str) -> None:
    with pytest.raises(SemverError, match="constraint"):
        parse_constraint(constraint)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1.2.3", "2.2.3", "Major"),
        ("1.2.3", "1.3.3", "Minor"),
        ("1.2.3", "1.2.4", "Patch"),
        ("1.2.3+a", "1.2.3+b", "Metadata"),
        ("1.2.3", "v1.2.3", "None"),
        ("1.2.3-rc.1", "1.2.3", "None"),
        ("1.2", "1.2.0", "None"),
        ("latest", "1.2.3", "Incomparable"),
        ("1.2.3", "", "Incomparable"),
    ],
)
def test_difference_names_the_first_part_that_differs(first: str, second: str, expected: str) -> None:
    assert difference(first, second) == expected
    assert difference(second, first) == expected


def test_next_versions_keep_the_v_and_a_prerelease_becomes_its_release() -> None:
    assert parse_version("v1.2.3").next_major().original == "v2.0.0"
    assert str(parse_version("1.2.3-rc.1+b").next_minor()) == "1.3.0"
    assert str(parse_version("1.2.3").next_patch()) == "1.2.4"
    assert str(parse_version("1.2.3-rc.1").next_patch()) == "1.2.3"
    with pytest.raises(SemverError):
        parse_version("18446744073709551615.0.0").next_major()


numbers = st.integers(0, 12)
identifiers = st.lists(
    st.one_of(st.integers(0, 30).map(str), st.sampled_from(["a", "b", "rc", "x-1", "0a"])), max_size=3
)
versions = st.builds(
    lambda major, minor, patch, prerelease: Version(major, minor, patch, ".".join(prerelease)),
    numbers,
    numbers,
    numbers,
    identifiers,
)


@given(versions, versions, versions)
def test_the_order_is_total(one: Version, two: Version, three: Version) -> None:
    assert (one < two) + (one == two) + (one > two) == 1
    if one <= two <= three:
        assert one <= three
    if one == two:
        assert hash(one) == hash(two)


@given(versions)
def test_a_version_reads_back_from_its_text(version: Version) -> None:
    assert parse_version(str(version)) == version
    assert parse_version(str(version), strict=True) == version
    assert parse_constraint(f"={version}").allows(version)


@given(versions, versions)
def test_comparisons_in_constraints_agree_with_the_order(bound: Version, version: Version) -> None:
    # An alternative that names a prerelease opts in to prereleases.
    opted_in = bool(bound.prerelease) or not version.prerelease
    assert parse_constraint(f">={bound}").allows(version) is (opted_in and version >= bound)
    assert parse_constraint(f"<{bound}").allows(version) is (opted_in and version < bound)
    assert parse_constraint(f"!={bound}").allows(version) is (opted_in and version != bound)


@given(versions, versions)
def test_caret_and_tilde_are_the_ranges_they_are_documented_to_be(bound: Version, version: Version) -> None:
    release = Version(version.major, version.minor, version.patch)
    caret = parse_constraint(f"^{bound.major}.{bound.minor}.{bound.patch}")
    tilde = parse_constraint(f"~{bound.major}.{bound.minor}.{bound.patch}")
    low = Version(bound.major, bound.minor, bound.patch)
    if bound.major:
        top = Version(bound.major + 1, 0, 0)
    elif bound.minor:
        top = Version(0, bound.minor + 1, 0)
    else:
        top = Version(0, 0, bound.patch + 1)
    assert caret.allows(release) is (low <= release < top)
    if low != Version(0, 0, 0):
        assert tilde.allows(release) is (low <= release < Version(bound.major, bound.minor + 1, 0))
    else:
        # ~0.0.0 is how the library spells "anything".
        assert tilde.allows(release)


@given(st.text(max_size=30))
def test_any_text_is_a_constraint_or_refused(text: str) -> None:
    with contextlib.suppress(SemverError):
        assert parse_constraint(text).allows(Version(1, 2, 3)) in (True, False)
