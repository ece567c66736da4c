"""Secrets are found as in Kargo, read again when they change, and never shown."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from activities.credentials import CredentialKind, DirectoryCredentials
from activities.mask import Mask

GIT, IMAGE, HELM = CredentialKind.GIT, CredentialKind.IMAGE, CredentialKind.HELM


def secret(name: str, kind: str = "git", **data: str) -> str:
    lines = "".join(f"  {key}: '{value}'\n" for key, value in data.items())
    label = f"  labels:\n    kargo.akuity.io/cred-type: {kind}\n" if kind else ""
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n{label}stringData:\n{lines}"


def directory(root: Path, files: dict[str, str]) -> DirectoryCredentials:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return DirectoryCredentials(root)


REPO = "https://git.example.com/Org/Repo"


@pytest.mark.parametrize(
    ("kind", "asked", "files", "found"),
    [
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL=REPO)}, "a"),
        (GIT, REPO + ".git", {"p/a.yaml": secret("a", repoURL=REPO.lower() + "/")}, "a"),
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL=REPO + "-other")}, None),
        (GIT, REPO, {"p/a.yaml": secret("a", "image", repoURL=REPO)}, None),
        (GIT, REPO, {"q/a.yaml": secret("a", repoURL=REPO)}, None),
        (GIT, REPO, {"shared/a.yaml": secret("a", repoURL=REPO), "p/b.yaml": secret("b", repoURL=REPO)}, "b"),
        (GIT, REPO, {"shared/a.yaml": secret("a", repoURL=REPO)}, "a"),
        (GIT, REPO, {"p/1.yaml": secret("z", repoURL=REPO), "p/2.yaml": secret("m", repoURL=REPO)}, "m"),
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL="^https://git.example.com/Org/", repoURLIsRegex="true")}, "a"),
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL="^https://git.example.com/org/", repoURLIsRegex="true")}, "a"),
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL="(unclosed", repoURLIsRegex="true")}, None),
        (GIT, REPO, {"p/a.yaml": secret("a", repoURL="^https://git.example.com/Org/")}, None),
        (GIT, "http://git.example.com/x", {"p/a.yaml": secret("a", repoURL="http://git.example.com/x")}, None),
        (IMAGE, "ghcr.io/org/app", {"p/a.yaml": secret("a", "image", repoURL="ghcr.io/org/app")}, "a"),
        (HELM, "oci://ghcr.io/org/chart", {"p/a.yaml": secret("a", "helm", repoURL="ghcr.io/org/chart")}, "a"),
        (GIT, REPO, {"p/a.txt": secret("a", repoURL=REPO)}, None),
    ],
)
def test_search(tmp_path: Path, kind: CredentialKind, asked: str, files: dict[str, str], found: str | None) -> None:
    credential = directory(tmp_path, files).find("p", kind, asked)
    assert (credential and credential.secret) == found


def test_plain_http_only_where_allowed(tmp_path: Path) -> None:
    directory(tmp_path, {"p/a.yaml": secret("a", repoURL="http://git.example.com/x", username="u", password="word")})
    found = DirectoryCredentials(tmp_path, allow_http=True).find("p", GIT, "http://git.example.com/x.git")
    assert found is not None
    assert (found.username, found.password) == ("u", "word")


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    credentials = directory(tmp_path, {"p/a.yaml": secret("a", repoURL=REPO, password="first")})
    assert credentials.find("p", GIT, REPO).password == "first"  # type: ignore[union-attr]  # it is there
    directory(tmp_path, {"p/a.yaml": secret("a", repoURL=REPO, password="second")})
    os.utime(tmp_path / "p/a.yaml", (1, 1))
    assert credentials.find("p", GIT, REPO).password == "second"  # type: ignore[union-attr]  # it is there
    (tmp_path / "p/a.yaml").unlink()
    assert credentials.find("p", GIT, REPO) is None


def test_base64_data_and_string_data_which_wins(tmp_path: Path) -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aGVsbG8=, b: aGVsbG8=}\nstringData: {b: plain}\n"
    )
    credentials = directory(tmp_path, {"p/s.yaml": text})
    assert credentials.secret("p", "s") == {"a": "hello", "b": "plain"}
    assert credentials.secret_key("p", "s", "a") == "hello"
    assert credentials.secret_key("p", "s", "none") is None


def test_data_of_expressions(tmp_path: Path) -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n"
    credentials = directory(
        tmp_path,
        {
            "p/a.yaml": config + "---\n" + secret("s", "", k="v"),
            "shared/a.yaml": config + "---\n" + secret("plain", "", k="v") + "---\n" + secret("g", "generic", k="v"),
        },
    )
    assert credentials.config_map("p", "c") == credentials.shared_config_map("c") == {"k": "v"}
    assert credentials.secret("p", "s") == {"k": "v"}
    assert credentials.shared_secret("g") == {"k": "v"}
    assert credentials.shared_secret("plain") is None
    assert credentials.secret("q", "s") is None
    assert credentials.secret("../p", "s") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [hidden-value\n", "not YAML, line"),
        (secret("s", "gti", k="hidden-value"), "must be one of git"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {k: 'hidden-value!'}\n", "not base64"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: [hidden-value]}\n", "stringData"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: hidden-value}\n", "not a Secret or ConfigMap"),
        (secret("s", k="hidden-value").replace("name: s", "nam: s"), "nam"),
    ],
)
def test_bad_files_are_reported_without_values_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, says: str
) -> None:
    credentials = directory(tmp_path, {"p/bad.yaml": text, "p/good.yaml": secret("good", repoURL=REPO)})
    with caplog.at_level(logging.WARNING):
        assert credentials.find("p", GIT, REPO) is not None
    assert says in caplog.text
    assert "bad.yaml" in caplog.text
    assert "hidden-value" not in caplog.text


def test_readable_by_all_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    credentials = directory(tmp_path, {"p/a.yaml": secret("a", repoURL=REPO)})
    (tmp_path / "p/a.yaml").chmod(0o644)
    credentials.find("p", GIT, REPO)
    assert "chmod 600" in caplog.text


def test_values_do_not_show_in_representations(tmp_path: Path) -> None:
    credentials = directory(tmp_path, {"p/a.yaml": secret("a", repoURL=REPO, password="hidden-value")})
    assert "hidden-value" not in repr(credentials.find("p", GIT, REPO))


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        (["hidden"], "a hidden b", "a *** b"),
        (["abc"], "abc", "abc"),
        (["pass", "password"], "password pass", "*** ***"),
        (["a b&c"], "?x=a+b%26c", "?x=***"),
        (["with\nline breaks in it\n"], "got: line breaks in it.", "got: ***."),
        (['quo"ted'], '{"x": "quo\\"ted"}', '{"x": "***"}'),
    ],
)
def test_mask(values: list[str], text: str, shown: str) -> None:
    mask = Mask()
    for value in values:
        mask.add(value)
    assert mask.text(text) == shown
    assert mask.json({text: [text, 1, None]}) == {shown: [shown, 1, None]}


def test_mask_of_a_number() -> None:
    mask = Mask()
    mask.add("123456")
    assert mask.json({"pin": 123456, "other": 7}) == {"pin": "***", "other": 7}
