"""Kustomization files: finding one, setting its images without disturbing the rest, and what it may read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from activities.yaml_documents import InvalidYaml, document, documents, dump
from activities.yaml_edit import scalar
from model.base import Json

#: The names kustomize looks for.
NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: The largest kustomization file that is read, in bytes.
MAX_SIZE = 1024 * 1024
#: In place of a value: keep what is there.
KEEP = "*"


class KustomizationError(Exception):
    """A kustomization that can't be found, read, edited, or that reaches out of the workspace."""


@dataclass(frozen=True)
class KustomizeImage:
    """One entry of a kustomization's `images`. Empty fields are left out."""

    name: str
    new_name: str = ""
    new_tag: str = ""
    digest: str = ""

    def fields(self) -> dict[str, str]:
        """The entry in kustomize's spelling and order."""
        fields = {"name": self.name, "newName": self.new_name, "newTag": self.new_tag, "digest": self.digest}
        return {name: value for name, value in fields.items() if value}

    @property
    def reference(self) -> str:
        """The image as people write it: name, tag and digest after the change."""
        tag = f":{self.new_tag}" if self.new_tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.new_name or self.name}{tag}{digest}"

    def over(self, present: Mapping[str, Json]) -> KustomizeImage:
        """This entry in place of `present` (empty: a new one), with `*` resolved to what is there."""
        return replace(
            self,
            new_name=_text(present.get("newName")) if self.new_name == KEEP else self.new_name,
            new_tag=_text(present.get("newTag")) if self.new_tag == KEEP else self.new_tag,
            digest=_text(present.get("digest")) if self.digest == KEEP else self.digest,
        )


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def find_kustomization(directory: Path, shown: str) -> Path:
    """The one kustomization file of a directory. `shown` names the directory in messages.

    Raises KustomizationError when there is none, or several. A symbolic link doesn't count, as in Kargo.
    """
    found = [directory / name for name in NAMES if _is_file(directory / name)]
    if not found:
        raise KustomizationError(f"there is no kustomization file in {shown!r}: expected one of {', '.join(NAMES)}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise KustomizationError(f"there are several kustomization files in {shown!r} ({names}): keep one of them")
    return found[0]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read(path: Path) -> str:
    """A kustomization file's text, line ends as they are. Raises KustomizationError: too large, or not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise KustomizationError(f"{path.name} can't be read: {error.strerror}") from error
    if len(data) > MAX_SIZE:
        raise KustomizationError(f"{path.name} is larger than {MAX_SIZE} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise KustomizationError(f"{path.name} is not UTF-8 text") from error


def set_images(text: str, images: Mapping[str, KustomizeImage]) -> str:
    """The kustomization with these images, by name, set in its `images`; entries of other images stay.

    Comments, order and quoting stay wherever the lines can be edited one by one; a list in flow style is written
    anew, and only a file that is unusual through and through is written anew as a whole.
    Raises KustomizationError when the text isn't a kustomization.
    """
    present = _mapping(text)
    before = present.get("images")
    before = [] if before is None else before
    if not isinstance(before, list) or not all(isinstance(entry, dict) for entry in before):
        raise KustomizationError("`images` is not a list of images, each with a name")
    after = _merged(before, images)
    if after == before:
        return text
    expected = {**present, "images": after}
    edited = _edited(text, before, after)
    if edited is not None:
        try:
            if document(edited, MAX_SIZE * 2) == expected:
                return edited
        except InvalidYaml:
            pass  # the edit by lines didn't fit this file: it is written as a whole instead
    return dump(expected)


def _mapping(text: str) -> dict[str, Json]:
    try:
        present = document(text, MAX_SIZE)
    except InvalidYaml as error:
        raise KustomizationError(f"the kustomization is not valid YAML: {error}") from error
    if present is None:
        return {}
    if not isinstance(present, dict):
        raise KustomizationError("the kustomization is not a mapping")
    return present


def _merged(before: list[dict[str, Json]], images: Mapping[str, KustomizeImage]) -> list[dict[str, Json]]:
    after: list[dict[str, Json]] = []
    for entry in before:
        image = images.get(str(entry.get("name")))
        fields = entry if image is None else image.over(entry).fields()
        after.append(entry if fields == entry else fields)
    names = {entry.get("name") for entry in before}
    new = sorted(name for name in images if name not in names)
    return after + [images[name].over({}).fields() for name in new]


# YAML's own line breaks: marks count these, str.splitlines counts more.
_LINE = re.compile(r"[^\r\n\x85\u2028\u2029]*(?:\r\n|[\r\n\x85\u2028\u2029])|[^\r\n\x85\u2028\u2029]+")


def _edited(text: str, before: list[dict[str, Json]], after: list[dict[str, Json]]) -> str | None:
    """The text with its list of images changed line by line; None where its form doesn't allow that."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and (not isinstance(root, yaml.MappingNode) or root.flow_style):
        return None
    found = [value for key, value in root.value if key.value == "images"] if root is not None else []
    if not found:
        head = text if not text or text.endswith("\n") else text + newline
        return head + newline.join(["images:", *(line for entry in after for line in _rendered(entry, 0))]) + newline
    value = found[0]
    if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
        rendered = newline + newline.join(line for entry in after for line in _rendered(entry, 0))
        return text[: value.start_mark.index].rstrip(" ") + rendered + text[value.end_mark.index :]
    lines: list[str] = _LINE.findall(text)
    if not lines[-1].endswith(("\n", "\r")):
        lines[-1] += newline
    column = value.start_mark.column
    spans = []
    for item in value.value:
        if not isinstance(item, yaml.MappingNode) or item.flow_style or not item.value:
            return None
        spans.append((item.start_mark.line, max(part.end_mark.line for pair in item.value for part in pair)))
    additions = [line + newline for entry in after[len(before) :] for line in _rendered(entry, column)]
    lines[spans[-1][1] + 1 : spans[-1][1] + 1] = additions
    # From the end, so that the line numbers before stay right.
    for item, (first, last), old, new in reversed(list(zip(value.value, spans, before, after, strict=False))):
        if new == old:
            continue
        changed = _changed_lines(lines[first : last + 1], item, first, new, newline)
        lines[first : last + 1] = changed or [line + newline for line in _rendered(new, column)]
    return "".join(lines)


def _changed_lines(
    lines: list[str], item: yaml.MappingNode, first: int, new: Mapping[str, str], newline: str
) -> list[str] | None:
    """An item's lines with new values in the old places; None where a value isn't alone on its line."""
    changed: list[str | None] = list(lines)
    seen = set()
    for place, (key, value) in enumerate(item.value):
        line = key.start_mark.line
        alone = isinstance(value, yaml.ScalarNode) and line == value.start_mark.line == value.end_mark.line
        if not alone or line in seen:
            return None
        seen.add(line)
        if key.value not in new:
            if place == 0:
                return None
            changed[line - first] = None
        elif new[key.value] != value.value:
            old = lines[line - first]
            changed[line - first] = (
                old[: value.start_mark.column] + scalar(new[key.value]) + old[value.end_mark.column :]
            )
    here = {key.value for key, _ in item.value}
    indent = " " * item.start_mark.column
    more = [f"{indent}{name}: {scalar(value)}{newline}" for name, value in new.items() if name not in here]
    return [line for line in changed if line is not None] + more


def _rendered(entry: Mapping[str, Json], column: int) -> list[str]:
    indent = " " * column
    return [
        f"{indent}{'  ' if place else '- '}{name}: {scalar(_text(value))}"
        for place, (name, value) in enumerate(entry.items())
    ]


# Fields of a kustomization, and of the configurations of kustomize's own plugins, that name files or directories.
_PATH_FIELDS = {
    "additionalvaluesfiles",
    "bases",
    "charthome",
    "components",
    "configurations",
    "crds",
    "env",
    "envs",
    "files",
    "generators",
    "patchesstrategicmerge",
    "path",
    "paths",
    "resources",
    "transformers",
    "validators",
    "values",
    "valuesfile",
}
#: Those whose entries may be directories with kustomizations of their own.
_DIRECTORY_FIELDS = {"bases", "components", "generators", "resources", "transformers", "validators"}
#: Those whose files are configurations of plugins, and may name files in their turn.
_PLUGIN_FIELDS = {"generators", "transformers", "validators"}
#: `fields[].path` and the like are places within a resource, not files.
_NOT_PATHS = {"fields", "fieldspecs", "fieldpaths", "options", "commonlabels", "commonannotations", "valuesinline"}
_HELM_FIELDS = {"helmcharts", "helmchartinflationgenerator"}
_REMOTE_FILE = re.compile(r"https?://", re.IGNORECASE)
_REMOTE_BASE = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*::?//|[A-Za-z0-9+.-]+::|[\w.-]+@[\w.-]+:|github\.com[:/]", re.IGNORECASE
)
#: How many kustomizations and plugin configurations one build may consist of.
MAX_FILES = 2000


def check_reach(directory: Path, workspace: Path) -> bool:
    """See to it that a kustomization, and those it builds upon, name no file outside the workspace, and nothing remote.

    Kustomize is told to load files from anywhere, since bases share files by `../common/x.yaml` (Kargo does likewise,
    in a file system that ends at the workspace); this is what makes "anywhere" end at the workspace.
    Returns whether Helm charts are to be inflated. Raises KustomizationError with the reason for a refusal.
    """
    reach = _Reach(workspace)
    reach.visit(Path(os.path.realpath(directory)))
    return reach.helm


class _Reach:
    def __init__(self, workspace: Path) -> None:
        self.root = os.path.realpath(workspace)
        self.seen: set[str] = set()
        self.helm = False

    def visit(self, directory: Path) -> None:
        # Symbolic links too: kustomize follows them.
        for name in NAMES:
            if (directory / name).exists():
                self.read(directory / name, directory, plugin=False)

    def read(self, path: Path, directory: Path, *, plugin: bool) -> None:
        real = self.inside(path, path.name, path)
        if real in self.seen:
            return
        self.seen.add(real)
        if len(self.seen) > MAX_FILES:
            raise KustomizationError(f"more than {MAX_FILES} kustomization files belong to this build")
        text = read(Path(real))
        if plugin:
            self.plugin(text, path, directory)
            return
        try:
            content = document(text, MAX_SIZE)
        except InvalidYaml as error:
            raise KustomizationError(f"{self.shown(path)} is not valid YAML: {error}") from error
        self.check(content, path, directory)

    def plugin(self, text: str, path: Path, directory: Path) -> None:
        try:
            found = list(documents(text, MAX_SIZE))
        except InvalidYaml as error:
            raise KustomizationError(f"{self.shown(path)}: the plugin is not valid YAML: {error}") from error
        for content in found:
            self.check(content, path, directory)

    def check(self, content: Json, path: Path, directory: Path) -> None:
        self.check_helm(content, path)
        for field, value in _named(content):
            name = value.strip()
            if "\n" in name:
                if field in _PLUGIN_FIELDS:
                    self.plugin(name, path, directory)
                continue  # an inline patch or plugin, not a file's name
            parts = {name, name.partition("=")[2] or name} if field == "files" else {name}
            for part in parts:
                self.follow(part, field, path, directory)

    def check_helm(self, content: Json, path: Path) -> None:
        if not isinstance(content, dict):
            return
        entries: list[Json] = []
        for key, value in content.items():
            if str(key).casefold() in _HELM_FIELDS:
                entries += value if isinstance(value, list) else [value]
        if str(content.get("kind")) == "HelmChartInflationGenerator":
            entries.append(content)
        for entry in entries:
            self.helm = True
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if isinstance(value, str) and value.startswith("-"):
                    raise KustomizationError(f"{self.shown(path)}: {key} of a Helm chart can't begin with a dash")
        for field, _ in _strings(content):
            if field == "confighome":
                raise KustomizationError(
                    f"{self.shown(path)} sets configHome, which could bring Helm plugins along: it is not supported"
                )

    def follow(self, name: str, field: str, path: Path, directory: Path) -> None:
        remote = _REMOTE_BASE if field in _DIRECTORY_FIELDS else _REMOTE_FILE
        if remote.match(name):
            raise KustomizationError(
                f"{self.shown(path)} refers to {name!r}, which is remote, and that is not supported: check its "
                f"repository out with git-clone, and refer to it by its path in the workspace"
            )
        # `link/../x` is x to a program that shortens paths first, and something else to the file system.
        self.inside(Path(os.path.normpath(directory / name)), name, path)
        real = Path(self.inside(directory / name, name, path))
        if field in _DIRECTORY_FIELDS:
            if real.is_dir():
                # Kustomize takes a directory at its real place, and reads on relative to that.
                self.visit(real)
            elif not real.exists():
                # Kustomize would look for a repository of that name.
                raise KustomizationError(f"{self.shown(path)} refers to {name!r}, which isn't there")
        if field in _PLUGIN_FIELDS and real.is_file():
            self.read(real, directory, plugin=True)

    def inside(self, target: Path, name: str, path: Path) -> str:
        """The real path of a file that lies in the workspace; an error names it as it is written."""
        real = os.path.realpath(target)
        if real != self.root and not real.startswith(self.root + os.sep):
            raise KustomizationError(
                f"{self.shown(path)} refers to {name!r}, which lies outside the promotion's workspace"
            )
        return real

    def shown(self, path: Path) -> str:
        return os.path.normpath(os.path.join(os.path.relpath(os.path.realpath(path.parent), self.root), path.name))


def _strings(content: Json, field: str = "") -> Iterator[tuple[str, str]]:
    """All strings with the field they stand in, in small letters: Go reads keys in any case."""
    if isinstance(content, dict):
        for key, value in content.items():
            name = str(key).casefold()
            if name not in _NOT_PATHS:
                yield from _strings(value, name)
    elif isinstance(content, list):
        for entry in content:
            yield from _strings(entry, field)
    elif isinstance(content, str):
        yield field, content


def _named(content: Json) -> Iterator[tuple[str, str]]:
    return ((field, value) for field, value in _strings(content) if field in _PATH_FIELDS)
