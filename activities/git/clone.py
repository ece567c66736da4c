"""The repository of one git-clone step, and its worktrees in the promotion's workspace.

Each clone is a bare repository of its own beside the workspace, with its own refs, index and configuration; its objects
are hard links to the mirror's packs. So promotions don't disturb each other, and the mirror may vanish at any time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from activities.git.command import Output
from activities.git.errors import MirrorBroken
from activities.git.mirrors import Git, repository_config
from activities.git.objects import share_objects
from activities.git.refs import Remote
from activities.git.signing import Keyring
from activities.steps.registry import StepErrored

_NOTES = "towpath.json"
_BASE = "towpath-base"
_KEYRING = "keyring"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Author:
    """Who commits."""

    name: str
    email: str

    def environment(self, at: datetime, role: str) -> dict[str, str]:
        """Git's environment for AUTHOR or COMMITTER, with the date in UTC to the second."""
        return {
            f"GIT_{role}_NAME": self.name,
            f"GIT_{role}_EMAIL": self.email,
            f"GIT_{role}_DATE": f"{int(at.timestamp())} +0000",
        }


#: The first commit of a branch that git-clone creates: the same everywhere, so that it exists once.
FIRST_COMMIT_AUTHOR = Author("Towpath", "towpath@users.noreply.localhost")
FIRST_COMMIT_MESSAGE = "Initial commit\n"
FIRST_COMMIT_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Clone:
    """The bare repository behind the worktrees of one git-clone step."""

    git: Git
    path: Path
    url: str
    insecure_skip_tls_verify: bool
    author: Author
    blobless: bool

    @classmethod
    async def create(
        cls, git: Git, workspace: Path, alias: str, remote: Remote, mirror: Path, author: Author, *, blobless: bool
    ) -> Clone:
        """A new clone with the mirror's objects. An earlier one of the same step is removed with its worktrees."""
        path = directory(workspace) / hashlib.sha256(alias.encode()).hexdigest()[:12]
        clone = cls(git, path, remote.url, remote.insecure_skip_tls_verify, author, blobless)
        await asyncio.to_thread(clone._write, mirror)
        return clone

    @property
    def keyring(self) -> Keyring | None:
        """What commits and tags of its worktrees are signed with; None: they aren't."""
        return Keyring.at(self.path / _KEYRING)

    async def sign_with(self, key: str) -> None:
        """Have commits and tags of its worktrees signed with this GPG key. Raises SigningKeyInvalid, GitError."""
        await Keyring.create(self.path / _KEYRING, key)

    def _write(self, mirror: Path) -> None:
        self._discard()
        (self.path / "refs" / "heads").mkdir(parents=True)
        (self.path / "objects" / "pack").mkdir(parents=True)
        # A branch that nobody has: worktrees may check out any.
        (self.path / "HEAD").write_text("ref: refs/heads/towpath-none\n")
        config = repository_config(self.url, blobless=self.blobless, worktrees=True)
        (self.path / "config").write_text(config)
        # With worktreeConfig, what stands in `config` would hold for the worktrees too.
        (self.path / "config.worktree").write_text("[core]\n\tbare = true\n")
        notes = {
            "url": self.url,
            "insecureSkipTLSVerify": self.insecure_skip_tls_verify,
            "author": {"name": self.author.name, "email": self.author.email},
            "blobless": self.blobless,
        }
        (self.path / _NOTES).write_text(json.dumps(notes))
        try:
            share_objects(mirror / "objects", self.path / "objects")
        except FileNotFoundError as error:
            raise MirrorBroken(f"{error.filename} is gone") from None

    def _discard(self) -> None:
        for pointer in self.path.glob("worktrees/*/gitdir"):
            tree = Path(pointer.read_text().strip()).parent
            workspace = self.path.parent.parent / "files"
            if workspace in tree.parents and not tree.is_symlink():
                shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)

    async def add_worktree(
        self, path: Path, commit: str, *, branch: str | None, sparse: list[str], remote: Remote
    ) -> Worktree:
        """A worktree at `path` with this commit checked out, on `branch`, or detached where None."""
        where = ["--no-track", "-B", branch] if branch else ["--detach"]
        late = ["--no-checkout"] if sparse else []
        lazily = remote if self.blobless else None
        await self.git.command.run(
            "worktree", "add", "--quiet", *late, *where, "--", str(path), commit,
            git_dir=self.path, remote=lazily,
        )  # fmt: skip
        tree = Worktree.at(self.git, self.path.parent.parent / "files", path)
        (tree.git_dir / _BASE).write_text(commit)
        if sparse:
            await tree.run("sparse-checkout", "set", "--cone", "--stdin", stdin="".join(f"{name}\n" for name in sparse))
            await tree.run("read-tree", "-mu", "HEAD", remote=lazily)
        return tree

    async def give_back(self) -> None:
        """Give the mirror what was made here and pushed, so that no later clone fetches it."""
        if not self.blobless:
            await self.git.take_in(self.url, self.path / "objects")

    async def run(self, *args: str, remote: Remote | None = None, stdin: str | None = None) -> Output:
        return await self.git.command.run(*args, git_dir=self.path, remote=remote, stdin=stdin)


@dataclass(frozen=True)
class Worktree:
    """A worktree that git-clone made in this workspace."""

    clone: Clone
    path: Path
    git_dir: Path

    @classmethod
    def at(cls, git: Git, workspace: Path, path: Path) -> Worktree:
        """The worktree at `path`. Raises StepErrored where there is none that git-clone made.

        A `.git` that came from elsewhere (a step copied it, a repository brought it) is not believed.
        """
        workspace, path = Path(os.path.realpath(workspace)), Path(os.path.realpath(path))
        pointer = path / ".git"
        shown = path.relative_to(workspace).as_posix()
        try:
            text = pointer.read_text()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError):
            raise StepErrored(
                f"{shown} is not a working tree: name a path that git-clone checked out", final=True
            ) from None
        git_dir = Path(os.path.realpath(text.removeprefix("gitdir:").strip()))
        clone_dir = git_dir.parent.parent
        home = Path(os.path.realpath(directory(workspace)))
        if pointer.is_symlink() or not text.startswith("gitdir:") or clone_dir.parent != home:
            raise StepErrored(f"{shown} is not a working tree that git-clone made in this promotion", final=True)
        try:
            notes = json.loads((clone_dir / _NOTES).read_text())
            linked = Path((git_dir / "gitdir").read_text().strip())
        except (OSError, ValueError):
            raise StepErrored(f"the repository behind {shown} is incomplete", final=True) from None
        if Path(os.path.realpath(linked)) != pointer:
            raise StepErrored(f"{shown} is not where git-clone made this working tree", final=True)
        clone = Clone(
            git,
            clone_dir,
            notes["url"],
            notes["insecureSkipTLSVerify"],
            Author(notes["author"]["name"], notes["author"]["email"]),
            notes["blobless"],
        )
        return cls(clone, path, git_dir)

    async def run(
        self,
        *args: str,
        remote: Remote | None = None,
        stdin: str | None = None,
        environment: dict[str, str] | None = None,
        config: dict[str, str] | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> Output:
        """Run Git in this worktree."""
        return await self.clone.git.command.run(
            *args,
            git_dir=self.git_dir,
            work_tree=self.path,
            remote=remote,
            stdin=stdin,
            environment=environment,
            config=config,
            accept=accept,
        )

    async def head(self) -> str:
        """The id of the commit that is checked out."""
        if (found := self._loose_head()) is not None:
            return found
        return (await self.run("rev-parse", "--verify", "HEAD^{commit}")).out.strip()

    def _loose_head(self) -> str | None:
        """HEAD, where it is written as Git writes it after a commit; read here, it costs no process."""
        try:
            text = (self.git_dir / "HEAD").read_text().strip()
            if text.startswith("ref: refs/heads/"):
                text = (self.clone.path / text.removeprefix("ref: ")).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return text if _COMMIT.fullmatch(text) else None

    def base(self) -> str:
        """The id of the commit that git-clone checked out here."""
        return (self.git_dir / _BASE).read_text()

    def branch(self) -> str | None:
        """The branch that is checked out, None where HEAD is detached."""
        text = (self.git_dir / "HEAD").read_text().strip()
        return text.removeprefix("ref: refs/heads/") if text.startswith("ref: refs/heads/") else None

    def identity(self, at: datetime, author: Author | None = None) -> dict[str, str]:
        """Git's environment for a commit made at that time."""
        who = author or self.clone.author
        return {**who.environment(at, "AUTHOR"), **who.environment(at, "COMMITTER")}

    @asynccontextmanager
    async def signing(self, at: datetime | None = None, key: Keyring | None = None) -> AsyncIterator[dict[str, str]]:
        """Git's configuration to sign at that time with this key, else the clone's; without `at`, to verify by it."""
        keyring = key or self.clone.keyring
        if keyring is None:
            yield {}
            return
        async with keyring.signing(at) as config:
            yield config

    async def signer(self, commit: str) -> str | None:
        """Who signed a commit with the clone's key, `Name <address>`; None: nobody."""
        if self.clone.keyring is None:
            return None
        async with self.signing() as config:
            shown = (await self.run("log", "-1", "--format=%G? %GS", commit, "--", config=config)).out.strip()
        return shown[2:] if shown.startswith("G ") else None

    async def add_all(self) -> None:
        """Stage everything, as `git add --all`; files that .gitignore names are left out."""
        await self.run("add", "--all", "--", ".")

    async def has_changes(self) -> bool:
        """Whether what is staged differs from HEAD."""
        return (await self.run("diff", "--cached", "--quiet", "--no-ext-diff", accept=(0, 1))).code == 1


def directory(workspace: Path) -> Path:
    """Where the repositories behind a workspace's worktrees lie: beside it, out of steps' reach."""
    return workspace.parent / "git"
