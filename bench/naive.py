"""Polling as a script would do it: clone the repository, list all tags, read every manifest and config. Each time.

`python -m bench.naive REGISTRY REPOSITORY GIT-URL ROUNDS` does it so often, and prints the seconds of processor time
that one round took it.
"""

from __future__ import annotations

import http.client
import json
import resource
import subprocess
import sys
import tempfile
import time


def processor_time() -> float:
    """Seconds that this process has used, and the programs that it ran."""
    programs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + programs.ru_utime + programs.ru_stime


def clone(url: str, into: str) -> None:
    """The whole repository."""
    subprocess.run(["git", "clone", "--quiet", "--bare", url, into], check=True, timeout=600)


def read_all(registry: str, repository: str) -> None:
    """Every tag's manifest and config, one after the other over one connection."""
    connection = http.client.HTTPConnection(registry)
    for tag in list_tags(registry, repository):
        manifest = json.loads(_get(connection, f"/v2/{repository}/manifests/{tag}")[0])
        _get(connection, f"/v2/{repository}/blobs/{manifest['config']['digest']}")
    connection.close()


def list_tags(registry: str, repository: str) -> list[str]:
    """All tags, over all pages."""
    connection = http.client.HTTPConnection(registry)
    tags, following = [], f"/v2/{repository}/tags/list?n=1000"
    while following:
        body, link = _get(connection, following)
        tags += json.loads(body)["tags"]
        following = link.partition("<")[2].partition(">")[0]
    connection.close()
    return tags


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[bytes, str]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.read(), response.headers.get("Link") or ""


def main(registry: str, repository: str, url: str, rounds: str) -> None:
    before = processor_time()
    for _ in range(int(rounds)):
        with tempfile.TemporaryDirectory() as directory:
            clone(url, directory)
        read_all(registry, repository)
    print((processor_time() - before) / int(rounds))


if __name__ == "__main__":
    main(*sys.argv[1:])
