"""Objects that repositories of this host share: hard links, copies where the file systems differ. They never change."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from pathlib import Path


def share_objects(source: Path, target: Path) -> None:
    """Give an object directory all that another holds.

    Whoever finds a commit in `target` finds what the commit holds, also while this goes on. Raises FileNotFoundError
    where the source is gone.
    """
    packs = sorted(entry.name for entry in os.scandir(source / "pack") if not entry.name.startswith("tmp_"))
    # A pack is usable once its index is there: link that last.
    for name in sorted(packs, key=lambda name: name.endswith(".idx")):
        _link(source / "pack" / name, target / "pack" / name)
    commits: list[tuple[Path, Path]] = []
    for group in os.scandir(source):
        if len(group.name) != 2 or not group.is_dir():
            continue
        (target / group.name).mkdir(exist_ok=True)
        for entry in os.scandir(group.path):
            pair = Path(entry.path), target / group.name / entry.name
            if entry.name.startswith("tmp_") or pair[1].exists():
                continue
            if _is_commit(pair[0]):
                commits.append(pair)
            else:
                _link(*pair)
    for pair in commits:
        _link(*pair)


def _is_commit(path: Path) -> bool:
    with path.open("rb") as file:
        return zlib.decompressobj().decompress(file.read(64), 7) == b"commit "


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        # Whole at once: another may be reading there.
        draft = target.with_name(f"tmp_{os.getpid()}_{target.name}")
        shutil.copyfile(source, draft)
        os.replace(draft, target)
