"""Commits without content, whose dates and parents a test chooses."""

from __future__ import annotations

from examples.world.git_server import Repository


def commit(
    repository: Repository,
    message: str,
    *,
    branch: str = "main",
    parents: tuple[str, ...] = (),
    when: int = 1_700_000_000,
) -> str:
    """Put a commit by Ada, committed by Grace, on top of a branch, or upon the parents named; returns its id."""
    tree = repository.git("mktree", stdin="")
    head = repository.head(branch)
    lines = [
        f"tree {tree}",
        *(f"parent {parent}" for parent in parents or ((head,) if head else ())),
        f"author Ada <ada@example.com> {when} +0000",
        f"committer Grace <grace@example.com> {when} +0200",
        "",
        message,
    ]
    made = repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin="\n".join(lines))
    repository.git("update-ref", f"refs/heads/{branch}", made)
    return made
