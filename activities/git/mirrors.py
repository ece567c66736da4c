"""A bare mirror per repository, so that only what is new is fetched, and clones of promotions cost next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from activities.git.command import GitCommand, Output
from activities.git.errors import GitError, MirrorBroken, RefNotFound
from activities.git.history import Commit, mainline
from activities.git.objects import share_objects
from activities.git.refs import Remote, RemoteRefs, branch_ref, tag_ref
from activities.git.smart_http import Ref, SmartHttp
from activities.settings import ActivitySettings

logger = logging.getLogger(__name__)

#: Seconds for which an optional use of a mirror waits for it.
_PATIENCE = 1.0
#: Above these numbers of packs and of loose objects a mirror is repacked; nothing is ever dropped from it.
_PACKS = 40
_LOOSE = 250


class Git:
    """Git, as activities use it: looks at remotes, mirrors, and commands."""

    def __init__(self, settings: ActivitySettings) -> None:
        self.settings = settings
        self.command = GitCommand(settings)
        #: Asks for refs instead of Git where that is possible; whoever sets it closes it.
        self.http: SmartHttp | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def refs(
        self,
        remote: Remote,
        *,
        branches: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> RemoteRefs:
        """What the remote has now: its default branch and the branches and tags asked for, or all where None.

        One `ls-remote`, or less. Raises GitError, InvalidRef.
        """
        patterns: list[str] = []
        if branches is not None or tags is not None:
            patterns = ["HEAD"]
            patterns += ["refs/heads/*"] if branches is None else [branch_ref(name) for name in branches]
            names = None if tags is None else list(tags)
            patterns += (
                ["refs/tags/*"]
                if names is None
                else [ref for name in names for ref in (tag_ref(name), tag_ref(name) + "^{}")]
            )
        if self.http is not None:
            prefixes = [pattern.removesuffix("*") for pattern in patterns if not pattern.endswith("^{}")]
            found = await self.http.refs(remote, prefixes or ["HEAD", "refs/heads/", "refs/tags/"])
            if found is not None:
                return _remote_refs(found, set(patterns))
        output = await self.command.run(
            "ls-remote", "--symref", "--", remote.url, *patterns, cwd=Path("/"), remote=remote
        )
        return _remote_refs(_parse_refs(output), set(patterns))

    @asynccontextmanager
    async def turn(self, *names: str) -> AsyncIterator[None]:
        """Within it nobody else of this process holds a turn of the same names: a repository and a branch."""
        key = "\0".join(names)
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            yield

    def mirror_path(self, url: str, *, blobless: bool = False) -> Path:
        """Where the mirror of a repository lies, whether it is there or not."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", url.rstrip("/").removesuffix(".git").rpartition("/")[2])[:40].strip(
            ".-"
        )
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        return self.settings.mirror_directory / f"{name or 'repository'}-{digest}{'-blobless' if blobless else ''}.git"

    async def fetched(
        self, remote: Remote, commits: Sequence[str], *, blobless: bool = False, tags: Sequence[str] = ()
    ) -> Path:
        """The mirror of this repository, holding these commits with their history; fetches what is missing.

        `tags` are ids of annotated tag objects to have as well. Look at the remote first (`refs`): the mirror is shared
        by all who use the repository, and only the remote says who may see it.
        Raises RefNotFound where the remote has no such commit, else GitError.
        """
        try:
            return await self._fetched(remote, [*commits, *tags], blobless)
        except MirrorBroken:
            # Deleted or damaged: made anew, once.
            path = self.mirror_path(remote.url, blobless=blobless)
            async with self._locked(path):
                await asyncio.to_thread(shutil.rmtree, path, True)
            return await self._fetched(remote, [*commits, *tags], blobless)

    async def take_in(self, url: str, objects: Path) -> None:
        """Have the mirror of this repository hold these objects too, if there is a mirror.

        They must be at the remote: whoever finds a commit here doesn't fetch it. Where it can't be done, or the mirror
        is busy for more than a second, they are fetched when they are needed.
        """
        path = self.mirror_path(url)
        if not await asyncio.to_thread((path / "HEAD").exists):
            return
        try:
            async with asyncio.timeout(_PATIENCE) as limit, self._locked(path):
                limit.reschedule(None)
                await asyncio.to_thread(share_objects, objects, path / "objects")
                await self._tidy(path)
        except OSError as error:
            logger.info("mirror %s did not take in what was pushed: %s", path.name, error)

    async def history(self, remote: Remote, tip: str, *, limit: int, since: datetime | None = None) -> list[Commit]:
        """The mainline from this commit back, newest first, at most `limit` commits, none older than `since`.

        Raises RefNotFound, GitError.
        """
        path = await self.fetched(remote, [tip])
        return await asyncio.to_thread(mainline, path, tip, limit=limit, since=since)

    async def _fetched(self, remote: Remote, wanted: list[str], blobless: bool) -> Path:
        path = self.mirror_path(remote.url, blobless=blobless)
        async with self._locked(path):
            if not await asyncio.to_thread((path / "HEAD").exists):
                await self._create(path, remote, blobless)
            missing = await self._missing(path, wanted, blobless)
            if missing:
                await self._fetch(path, remote, missing, blobless)
        return path

    async def _create(self, path: Path, remote: Remote, blobless: bool) -> None:
        fresh = path.with_name(f".new-{uuid.uuid4().hex}")
        await asyncio.to_thread(self.settings.mirror_directory.mkdir, parents=True, exist_ok=True)
        await self.command.run("init", "--quiet", "--bare", "--template=", str(fresh), cwd=Path("/"))
        config = repository_config(remote.url, blobless=blobless)
        await asyncio.to_thread((fresh / "config").write_text, config)
        await asyncio.to_thread(shutil.rmtree, path, True)
        os.rename(fresh, path)

    async def _missing(self, path: Path, wanted: list[str], blobless: bool) -> list[str]:
        if blobless:
            # Asking for an object would fetch it, alone: only what was fetched as a tip counts.
            known = await self.command.run("for-each-ref", "--format=%(objectname)", "refs/tips/", git_dir=path)
            return [oid for oid in dict.fromkeys(wanted) if oid not in set(known.lines())]
        lines = "".join(f"{oid}\n" for oid in dict.fromkeys(wanted))
        found = await self.command.run("cat-file", "--batch-check=%(objectname)", git_dir=path, stdin=lines)
        return [line.split()[0] for line in found.lines() if line.endswith(" missing")]

    async def _fetch(self, path: Path, remote: Remote, missing: list[str], blobless: bool) -> None:
        arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-show-forced-updates"]
        if blobless:
            arguments.append("--filter=blob:none")
        full = [oid for oid in missing if len(oid) in (40, 64)]
        try:
            if len(full) < len(missing):
                raise RefNotFound("a shortened commit id")
            # Through stdin: there may be thousands.
            wanted = "".join(f"+{oid}:refs/tips/{oid}\n" for oid in full)
            await self.command.run(*arguments, "--stdin", "origin", git_dir=path, remote=remote, stdin=wanted)
        except RefNotFound:
            # Shortened ids, and servers that give out only tips: everything the remote has, then look.
            await self.command.run(
                *arguments, "--prune", "origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
                git_dir=path, remote=remote,
            )  # fmt: skip
            for oid in missing:
                await self.resolved(path, oid, remote)
        await self._tidy(path)

    async def resolved(self, path: Path, commit: str, remote: Remote) -> str:
        """The full id of a commit that the mirror holds. Raises RefNotFound, also where a shortened id is ambiguous."""
        found = await self.command.run(
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{commit}^{{commit}}",
            git_dir=path,
            accept=(0, 1, 128),
        )
        if found.code:
            raise RefNotFound(f"{remote.shown} has no commit {commit}, or more than one whose id begins so")
        return found.out.strip()

    async def _tidy(self, path: Path) -> None:
        if await asyncio.to_thread(_is_scattered, path / "objects"):
            # Geometric: joins packs as they are; what no ref holds any more stays, for promotions under way.
            with contextlib.suppress(GitError):
                await self.command.run("repack", "--quiet", "-d", "--geometric=2", git_dir=path)

    @asynccontextmanager
    async def _locked(self, path: Path) -> AsyncIterator[None]:
        """One fetch at a time per mirror, among all workers that share the directory."""
        async with self.turn("mirror", str(path)):
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            lock = path.with_name(f".{path.name}.lock")
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while True:
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(0.05)
                yield
            finally:
                os.close(descriptor)


def _is_scattered(objects: Path) -> bool:
    if sum(1 for _ in (objects / "pack").glob("*.pack")) > _PACKS:
        return True
    return sum(1 for _ in objects.glob("[0-9a-f][0-9a-f]/*")) > _LOOSE


def repository_config(url: str, *, blobless: bool, worktrees: bool = False) -> str:
    """The config file of a repository of ours, bare unless for worktrees. No secrets stand in it."""
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    lines = ["[core]", f"\trepositoryformatversion = {int(blobless or worktrees)}"]
    lines += [] if worktrees else ["\tbare = true"]
    lines += ['[remote "origin"]', f'\turl = "{quoted}"']
    lines += ["\tpromisor = true", "\tpartialclonefilter = blob:none"] if blobless else []
    lines += ["[extensions]"] if blobless or worktrees else []
    lines += ["\tpartialClone = origin"] if blobless else []
    lines += ["\tworktreeConfig = true"] if worktrees else []
    return "\n".join(lines) + "\n"


def _parse_refs(output: Output) -> list[Ref]:
    """What `ls-remote` prints: a symbolic ref twice, what an annotated tag stands for below it."""
    refs: dict[str, Ref] = {}
    targets: dict[str, str] = {}
    for line in output.lines():
        left, _, name = line.partition("\t")
        plain = name.removesuffix("^{}")
        if left.startswith("ref: "):
            targets[name] = left.removeprefix("ref: ")
        elif plain != name and plain in refs:
            refs[plain] = refs[plain]._replace(peeled=left)
        else:
            refs[name] = Ref(name, left, targets.get(name, ""))
    return list(refs.values())


def _remote_refs(refs: Iterable[Ref], wanted: set[str]) -> RemoteRefs:
    default, head = "", ""
    branches: dict[str, str] = {}
    objects: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for ref in refs:
        if ref.name == "HEAD":
            default, head = ref.target.removeprefix("refs/heads/"), ref.id
        elif ref.name.startswith("refs/heads/"):
            if not wanted or ref.name in wanted or "refs/heads/*" in wanted:
                branches[ref.name.removeprefix("refs/heads/")] = ref.id
        elif ref.name.startswith("refs/tags/") and (not wanted or ref.name in wanted or "refs/tags/*" in wanted):
            tag = ref.name.removeprefix("refs/tags/")
            objects[tag] = ref.id
            if ref.peeled:
                peeled[tag] = ref.peeled
    return RemoteRefs(
        default=default,
        head=head,
        branches=branches,
        tags=objects | peeled,
        tag_objects={name: objects[name] for name in peeled if name in objects},
    )
