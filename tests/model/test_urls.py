"""Different ways to write one repository come to the same form; what can't be read stays as it is."""

from __future__ import annotations

import pytest

from model.urls import normalize_chart, normalize_git, normalize_image, sanitize

GIT = [
    ("https://git.example.com/team/shop", "https://git.example.com/team/shop"),
    ("https://git.example.com/team/shop.git", "https://git.example.com/team/shop"),
    ("https://git.example.com/team/shop/", "https://git.example.com/team/shop"),
    ("https://git.example.com/team/shop.git/", "https://git.example.com/team/shop"),
    ("https://git.example.com/team/shop.git//", "https://git.example.com/team/shop.git/"),
    ("HTTPS://Git.Example.com/Team/Shop", "https://git.example.com/team/shop"),
    ("\ufeffhttps://git.example.com/team/shop\u00a0 ", "https://git.example.com/team/shop"),
    ("https://me:word@git.example.com/shop", "https://git.example.com/shop"),
    ("http://127.0.0.1:8080/shop.git", "http://127.0.0.1:8080/shop"),
    ("https://[::1]:8080/shop.git", "https://[::1]:8080/shop"),
    ("https://git.example.com", "https://git.example.com"),
    ("https://git.example.com/", "https://git.example.com"),
    ("https://git.example.com/a b.git", "https://git.example.com/a%20b"),
    ("https://git.example.com/a%2fb", "https://git.example.com/a%2fb"),
    ("https://git.example.com/a%2fb.git", "https://git.example.com/a/b"),
    ("https://git.example.com/über", "https://git.example.com/%C3%BCber"),
    ("https://git.example.com/shop.git?", "https://git.example.com/shop?"),
    # Not to be read, so left alone, capitals and all.
    ("https://Git.example.com/shop.git?ref=main", "https://Git.example.com/shop.git?ref=main"),
    ("https://Git.example.com:port/shop", "https://Git.example.com:port/shop"),
    ("https://Git example com/shop", "https://Git example com/shop"),
    ("https://Git.example.com/%zz", "https://Git.example.com/%zz"),
    ("No URL at all", "No URL at all"),
    # SSH keeps the user, and its short form becomes the long one.
    ("ssh://git@git.example.com:2222/team/shop.git/", "ssh://git@git.example.com:2222/team/shop"),
    ("ssh://git.example.com/", "ssh://git.example.com"),
    ("git@git.example.com:team/shop.git", "ssh://git@git.example.com/team/shop"),
    ("git.example.com:team/shop/", "ssh://git.example.com/team/shop"),
    ("git@git.example.com", "ssh://git@git.example.com"),
    ("Git.example.com", "ssh://git.example.com"),
    ("git.example.com:/srv/shop.git", "ssh://git.example.com//srv/shop"),
    ("git.example.com:a:b", "ssh://git.example.com"),
    ("git.example.com:1:b", "git.example.com:1:b"),
]

IMAGES = [
    ("busybox", "busybox"),
    ("library/busybox", "busybox"),
    ("docker.io/busybox", "busybox"),
    ("index.docker.io/library/busybox", "busybox"),
    ("registry-1.docker.io/team/app", "team/app"),
    ("Team/App", "team/app"),
    ("ghcr.io/Team/App", "ghcr.io/team/app"),
    ("localhost/app", "localhost/app"),
    ("127.0.0.1:5000/app", "127.0.0.1:5000/app"),
    ("ghcr.io/team/app:1.0", "ghcr.io/team/app"),
    (f"ghcr.io/team/app:1.0@sha256:{'a' * 64}", "ghcr.io/team/app"),
    (f"ghcr.io/team/app@sha256:{'a' * 64}", "ghcr.io/team/app"),
    ("ghcr.io/team/app@sha256:Abc", "ghcr.io/team/app@sha256:Abc"),
    ("No image", "No image"),
    ("", ""),
]

CHARTS = [
    ("oci://ghcr.io/Team/Charts/App", "ghcr.io/team/charts/app"),
    ("OCI://docker.io/team/app", "team/app"),
    ("https://charts.example.com/", "https://charts.example.com/"),
    ("https://Charts.example.com/stable", "https://charts.example.com/stable"),
    (" oci://ghcr.io/team/app\ufeff", "ghcr.io/team/app"),
    ("127.0.0.1:5000/App", "127.0.0.1:5000/App"),
]


@pytest.mark.parametrize(("written", "normal"), GIT)
def test_git(written: str, normal: str) -> None:
    assert normalize_git(written) == normal


@pytest.mark.parametrize(("written", "normal"), IMAGES)
def test_image(written: str, normal: str) -> None:
    assert normalize_image(written) == normal


@pytest.mark.parametrize(("written", "normal"), CHARTS)
def test_chart(written: str, normal: str) -> None:
    assert normalize_chart(written) == normal


def test_what_cannot_be_seen_is_dropped() -> None:
    assert sanitize("\u200b  a b\t\u00a0 ") == "a b"
