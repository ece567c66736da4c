"""Choosing commits by tag, by path and by expression, in real repositories over HTTP."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from activities.discovery.look import LookFailed
from activities.discovery.watch import Watcher
from activities.git.history import Commit
from examples.world.git_server import GitServer, Repository
from model.paths import PathFilter
from model.selection import SelectionError
from tests.discovery.commits import commit
from tests.discovery.test_git import find

BEGAN = 1_700_000_000


@pytest.fixture
def repository(git_server: GitServer) -> Repository:
    return git_server.repository("app")


def annotate(repository: Repository, tag: str, target: str, message: str, *, when: int = BEGAN) -> None:
    """Put an annotated tag by Tess on a commit."""
    text = f"object {target}\ntype commit\ntag {tag}\ntagger Tess <tess@example.com> {when} +0100\n\n{message}\n"
    made = repository.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=text)
    repository.git("update-ref", f"refs/tags/{tag}", made)


@pytest.fixture
def tagged(repository: Repository) -> Repository:
    """Tags of commits that are each a day newer than the one before."""
    for day, tag in enumerate(["v1.0.0", "v1.10.0", "v1.9.0", "1.2", "nightly-2", "nightly-1", "v2.0.0-rc.1"]):
        made = commit(repository, f"Release {tag}", when=BEGAN + day * 86_400)
        repository.git("update-ref", f"refs/tags/{tag}", made)
    return repository


@pytest.mark.parametrize(
    ("strategy", "fields", "expected"),
    [
        ("SemVer", {}, ["v2.0.0-rc.1", "v1.10.0", "v1.9.0", "v1.0.0"]),
        ("SemVer", {"strictSemvers": False, "semverConstraint": "<1.10"}, ["v1.9.0", "1.2", "v1.0.0"]),
        ("SemVer", {"semverConstraint": "^1.0.0", "discoveryLimit": 1}, ["v1.10.0"]),
        ("SemVer", {"ignoreTagsRegexes": ["-rc"], "discoveryLimit": 2}, ["v1.10.0", "v1.9.0"]),
        ("Lexical", {}, ["v2.0.0-rc.1", "v1.9.0", "v1.10.0", "v1.0.0", "nightly-2", "nightly-1", "1.2"]),
        ("Lexical", {"allowTagsRegexes": ["^nightly-", "^1"]}, ["nightly-2", "nightly-1", "1.2"]),
        ("Lexical", {"expressionFilter": "tag startsWith 'nightly'"}, ["nightly-2", "nightly-1"]),
        ("NewestTag", {}, ["v2.0.0-rc.1", "nightly-1", "nightly-2", "1.2", "v1.9.0", "v1.10.0", "v1.0.0"]),
        ("NewestTag", {"ignoreTagsRegexes": ["^v2", "^n"], "discoveryLimit": 2}, ["1.2", "v1.9.0"]),
        ("NewestTag", {"allowTagsRegexes": ["^gone"]}, []),
    ],
)
async def test_each_strategy_chooses_and_orders_tags_in_its_own_way(
    watcher: Watcher, tagged: Repository, strategy: str, fields: dict[str, Any], expected: list[str]
) -> None:
    found = await find(watcher, tagged.url, commitSelectionStrategy=strategy, **fields)

    assert [one.tag for one in found] == expected
    assert all(one.id == tagged.git("rev-parse", f"refs/tags/{one.tag}") for one in found)


async def test_annotated_tags_are_recorded_with_tagger_and_annotation(watcher: Watcher, repository: Repository) -> None:
    first = commit(repository, "Base")
    commit(repository, "Later", when=BEGAN + 10)
    annotate(repository, "old", first, "The first one\n\nWith much to say.", when=BEGAN + 500)
    repository.git("update-ref", "refs/tags/new", repository.head() or "")

    old, new = await find(watcher, repository.url, commitSelectionStrategy="NewestTag")

    assert (old.tag, old.id, old.subject) == ("old", first, "Base")
    assert (old.author, old.committer) == ("Ada <ada@example.com>", "Grace <grace@example.com>")
    assert (old.tagger, old.annotation) == ("Tess <tess@example.com>", "The first one")
    assert old.creator_date is not None
    assert old.creator_date.timestamp() == BEGAN + 500
    assert (new.tag, new.tagger, new.annotation) == ("new", None, None)


async def test_tags_of_what_is_no_commit_are_no_candidates(watcher: Watcher, repository: Repository) -> None:
    made = commit(repository, "Base")
    repository.git("update-ref", "refs/tags/tree", repository.git("rev-parse", f"{made}^{{tree}}"))
    repository.git("update-ref", "refs/tags/commit", made)

    found = await find(watcher, repository.url, commitSelectionStrategy="NewestTag")

    assert [one.tag for one in found] == ["commit"]


@pytest.mark.parametrize("strategy", ["NewestFromBranch", "SemVer", "Lexical", "NewestTag"])
async def test_an_unchanged_poll_costs_one_request_and_fetches_nothing(
    watcher: Watcher, git_server: GitServer, tagged: Repository, strategy: str
) -> None:
    first = await find(watcher, tagged.url, commitSelectionStrategy=strategy)
    git_server.requests.clear()
    # Whatever was fetched would be missed now.
    shutil.rmtree(watcher.git.settings.mirror_directory)

    assert await find(watcher, tagged.url, commitSelectionStrategy=strategy) == first
    assert dict(git_server.requests) == {"POST git-upload-pack": 1}
    assert not watcher.git.settings.mirror_directory.exists()


async def test_moved_tag_is_followed(watcher: Watcher, tagged: Repository) -> None:
    await find(watcher, tagged.url, commitSelectionStrategy="SemVer")
    moved = commit(tagged, "Moved")
    tagged.git("update-ref", "refs/tags/v1.10.0", moved)

    found = await find(watcher, tagged.url, commitSelectionStrategy="SemVer")

    assert {one.tag: one.id for one in found}["v1.10.0"] == moved


async def test_tag_that_does_not_count_fetches_nothing(
    watcher: Watcher, git_server: GitServer, tagged: Repository
) -> None:
    fields = {"commitSelectionStrategy": "SemVer", "semverConstraint": "^1"}
    await find(watcher, tagged.url, **fields)
    git_server.requests.clear()
    await find(watcher, tagged.url, **fields)
    listing = dict(git_server.requests)
    tagged.git("update-ref", "refs/tags/nightly-3", commit(tagged, "Nightly"))
    git_server.requests.clear()

    await find(watcher, tagged.url, **fields)

    assert dict(git_server.requests) == listing


EVERY_COMMIT_VARIABLE = (
    "id matches '^[0-9a-f]{40}$' && commitDate.Year() == 2023 && author contains 'Ada' "
    "&& committer == 'Grace <grace@example.com>' && subject startsWith 'fix'"
)
EVERY_TAG_VARIABLE = (
    "tag == 'v1.0.0' && len(id) == 40 && creatorDate.Year() == 2023 && author contains 'Ada' "
    "&& committer contains 'grace' && subject == 'Base' && tagger contains 'Tess' && annotation == 'Hello'"
)


async def test_filter_sees_all_variables_of_a_commit(watcher: Watcher, repository: Repository) -> None:
    wanted = [commit(repository, "fix: one")]
    commit(repository, "chore: two")
    wanted.append(commit(repository, "fix: three"))

    found = await find(watcher, repository.url, expressionFilter=EVERY_COMMIT_VARIABLE)

    assert [one.id for one in found] == wanted[::-1]


async def test_filter_sees_all_variables_of_a_tag(watcher: Watcher, repository: Repository) -> None:
    made = commit(repository, "Base")
    annotate(repository, "v1.0.0", made, "Hello")
    annotate(repository, "v1.0.1", made, "Goodbye")

    found = await find(
        watcher, repository.url, commitSelectionStrategy="NewestTag", expressionFilter=EVERY_TAG_VARIABLE
    )

    assert [one.tag for one in found] == ["v1.0.0"]


@pytest.mark.parametrize("strategy", ["NewestFromBranch", "SemVer"])
async def test_filter_that_fails_says_where(watcher: Watcher, tagged: Repository, strategy: str) -> None:
    with pytest.raises(LookFailed, match=r"expressionFilter, at (commit [0-9a-f]{40}|tag v2\.0\.0-rc\.1): "):
        await find(watcher, tagged.url, commitSelectionStrategy=strategy, expressionFilter="subject.nothing.more")


@pytest.mark.parametrize(
    ("include", "exclude", "paths", "expected"),
    [
        ([], [], ["a"], True),
        ([], [], [], False),
        (["apps"], [], ["apps/guestbook/x.yaml"], True),
        (["apps"], [], ["apps"], True),
        (["apps"], [], ["apps2/x"], False),
        (["./apps/"], [], ["apps/x"], True),
        (["."], [], ["anything"], True),
        (["glob:apps/*/*.yaml"], [], ["apps/a/b.yaml"], True),
        (["glob:apps/*/*.yaml"], [], ["apps/a/b/c.yaml"], False),
        (["glob:apps/**/*.yaml"], [], ["apps/a/b/c.yaml"], True),
        (["glob:*.{yaml,yml}"], [], ["a.yml"], True),
        (["regex:values-.*"], [], ["charts/values-dev.yaml"], True),
        (["regexp:^values"], [], ["charts/values.yaml"], False),
        ([], ["docs"], ["docs/a.md"], False),
        ([], ["docs"], ["docs/a.md", "apps/x"], True),
        (["apps"], ["glob:**/*.md"], ["apps/README.md"], False),
        (["apps"], ["glob:**/*.md"], ["apps/README.md", "docs/x"], False),
        (["apps"], ["glob:**/*.md"], ["apps/README.md", "apps/x"], True),
    ],
)
def test_paths_are_included_and_then_excluded(
    include: list[str], exclude: list[str], paths: list[str], expected: bool
) -> None:
    assert PathFilter(include, exclude).matches(paths) is expected


@pytest.mark.parametrize("pattern", ["glob:[", "glob:{a", "regex:(", "regexp:(?=a)"])
def test_pattern_that_cannot_be_read_is_named(pattern: str) -> None:
    with pytest.raises(SelectionError, match="excludePaths: '"):
        PathFilter([], [pattern])


async def test_commits_count_by_what_they_themselves_changed(watcher: Watcher, repository: Repository) -> None:
    first = repository.commit({"apps/a": "1", "docs/a": "1"}, "both")
    repository.commit({"docs/a": "2"}, "docs only")
    apps = repository.commit({"apps/a": "2"}, "apps only")
    repository.commit({"docs/a": "3", 'docs/b\ttab "quoted" ü': "1"}, "docs again")

    found = await find(watcher, repository.url, includePaths=["apps"])
    assert [one.id for one in found] == [apps, first]
    odd = await find(watcher, repository.url, includePaths=["glob:docs/b*ü"])
    assert [one.subject for one in odd] == ["docs again"]


async def test_moved_file_counts_under_both_its_names(watcher: Watcher, repository: Repository) -> None:
    repository.commit({"old/a": "the same"}, "begin")
    moved = repository.commit({"old/a": None, "new/a": "the same"}, "move")

    for place in ("old", "new"):
        assert (await find(watcher, repository.url, includePaths=[place]))[0].id == moved


async def test_merge_counts_by_what_it_brought_to_the_mainline(watcher: Watcher, repository: Repository) -> None:
    base = repository.commit({"docs/a": "1"}, "base")
    repository.git("update-ref", "refs/heads/side", base)
    side = repository.commit({"apps/a": "1"}, "on the side", branch="side")
    repository.commit({"docs/a": "2"}, "docs")
    tree = repository.git("merge-tree", "--write-tree", "main", "side")
    merge = repository.git("commit-tree", tree, "-p", repository.head() or "", "-p", side, "-m", "merge")
    repository.git("update-ref", "refs/heads/main", merge)

    assert [one.id for one in await find(watcher, repository.url, includePaths=["apps"])] == [merge]


async def test_search_goes_on_in_batches_until_enough_is_found(watcher: Watcher, repository: Repository) -> None:
    wanted = [repository.commit({"apps/a": str(number)}, "apps") for number in range(3)]
    for number in range(12):
        repository.commit({"docs/a": str(number)}, "docs")

    found = await find(watcher, repository.url, includePaths=["apps"], discoveryLimit=2)

    assert [one.id for one in found] == wanted[:0:-1]


async def test_after_a_push_only_what_is_new_is_compared(
    watcher: Watcher, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.commit({"apps/a": "1"}, "apps")
    for number in range(5):
        repository.commit({"docs/a": str(number)}, "docs")
    await find(watcher, repository.url, includePaths=["apps"])
    compared: list[str] = []

    def passes(_: object, candidate: Commit) -> bool:
        compared.append(candidate.id)
        return True

    monkeypatch.setattr("activities.discovery.git._GitLook._passes", passes)
    pushed = repository.commit({"docs/a": "pushed"}, "docs")

    found = await find(watcher, repository.url, includePaths=["apps"])

    assert ([one.id for one in found], compared) == ([first], [pushed])


async def test_rewritten_history_is_compared_anew(watcher: Watcher, repository: Repository) -> None:
    base = repository.commit({"apps/a": "1"}, "base")
    repository.commit({"apps/a": "2"}, "regretted")
    await find(watcher, repository.url, includePaths=["apps"])
    repository.git("update-ref", "refs/heads/main", base)
    better = repository.commit({"apps/a": "3"}, "better")

    assert [one.id for one in await find(watcher, repository.url, includePaths=["apps"])] == [better, base]


async def test_clocks_askew_do_not_change_the_order_of_a_branch(watcher: Watcher, repository: Repository) -> None:
    commits = [commit(repository, f"Change {n}", when=BEGAN + skew) for n, skew in enumerate([0, 90_000, -90_000, 5])]

    assert [one.id for one in await find(watcher, repository.url)] == commits[::-1]


async def test_tags_count_by_what_their_own_commit_changed(watcher: Watcher, repository: Repository) -> None:
    for version, place in (("1.0.0", "apps"), ("1.1.0", "docs"), ("1.2.0", "apps"), ("1.3.0", "docs")):
        made = repository.commit({f"{place}/a": version}, version)
        repository.git("update-ref", f"refs/tags/{version}", made)

    for strategy in ("SemVer", "Lexical", "NewestTag"):
        found = await find(watcher, repository.url, commitSelectionStrategy=strategy, includePaths=["apps"])
        assert sorted(one.tag for one in found) == ["1.0.0", "1.2.0"]
    (best,) = await find(
        watcher, repository.url, commitSelectionStrategy="SemVer", includePaths=["apps"], discoveryLimit=1
    )
    assert best.tag == "1.2.0"


@pytest.mark.parametrize("filtering", [True, False], ids=["server filters", "server can't filter"])
async def test_blobless_looks_find_the_same(watcher: Watcher, repository: Repository, filtering: bool) -> None:
    repository.git("config", "uploadpack.allowFilter", str(filtering).lower())
    made = repository.commit({"apps/a": "x" * 5000}, "apps")
    repository.commit({"docs/a": "1"}, "docs")
    repository.git("update-ref", "refs/tags/v1.0.0", made)

    by_path = await find(watcher, repository.url, includePaths=["apps"], blobless=True)
    by_tag = await find(watcher, repository.url, commitSelectionStrategy="SemVer", blobless=True)

    assert [one.id for one in [*by_path, *by_tag]] == [made, made]
    mirror = watcher.git.mirror_path(repository.url, blobless=True)
    blob = repository.git("rev-parse", f"{made}:apps/a")
    there = await watcher.git.command.run("rev-list", "--objects", "--all", "--missing=print", git_dir=mirror)
    assert (f"?{blob}" in there.out) is filtering


async def test_repository_that_answers_html_says_so(watcher: Watcher, git_server: GitServer) -> None:
    with pytest.raises(LookFailed, match="was not found"):
        await find(watcher, f"{git_server.url}/index.html", commitSelectionStrategy="SemVer")


async def test_deprecated_tag_rules_of_git_still_filter(watcher: Watcher, tagged: Repository) -> None:
    found = await find(
        watcher, tagged.url, commitSelectionStrategy="Lexical", allowTags="^nightly", ignoreTags=["nightly-2"]
    )

    assert [one.tag for one in found] == ["nightly-1"]


async def test_a_thousand_tags_are_fetched_at_once(
    watcher: Watcher, git_server: GitServer, repository: Repository
) -> None:
    commits = [commit(repository, f"Change {number}", when=BEGAN + number) for number in range(3)]
    updates = "".join(f"create refs/tags/v1.{number}.0 {commits[number % 3]}\n" for number in range(1000))
    repository.git("update-ref", "--stdin", stdin=updates)

    found = await find(watcher, repository.url, commitSelectionStrategy="NewestTag", discoveryLimit=1)

    assert [one.id for one in found] == [commits[2]]
