"""Debian's docker-registry as a child process, filled with the images of the demo's registry."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from examples.world.registry import Registry
from tests.patience import PATIENCE

COMMAND = shutil.which("docker-registry")


class DockerRegistry:
    """A real registry. `push` takes what the demo registry's takes, and puts the same image.

    `users`: a line of an htpasswd file, with a bcrypt hash; without it there is no authentication.
    """

    def __init__(self, directory: Path, users: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        self._config = directory / "registry.yaml"
        self._config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory / 'storage'}}}}}\n"
            f"http: {{addr: '{self.host}'}}\n"
            + (f"auth: {{htpasswd: {{realm: test, path: {directory / 'htpasswd'}}}}}\n" if users else "")
        )
        if users:
            (directory / "htpasswd").write_text(f"{users}\n")
        self._images = Registry()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert COMMAND is not None
        self._process = subprocess.Popen(
            [COMMAND, "serve", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                assert httpx.get(f"http://{self.host}/v2/").status_code in (200, 401)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._images.stop()

    def push(self, repository: str, tag: str, **options: Any) -> str:
        digest = self._images.push(repository, tag, **options)
        store = self._images._repositories[repository]
        base = f"http://{self.host}/v2/{repository}"
        with httpx.Client() as client:
            for name, blob in store.blobs.items():
                place = client.post(f"{base}/blobs/uploads/").raise_for_status().headers["location"]
                client.put(httpx.URL(place).copy_merge_params({"digest": name}), content=blob).raise_for_status()
            for name, (media_type, content) in store.manifests.items():
                headers = {"Content-Type": media_type}
                client.put(f"{base}/manifests/{name}", content=content, headers=headers).raise_for_status()
            media_type, content = store.manifests[digest]
            headers = {"Content-Type": media_type}
            client.put(f"{base}/manifests/{tag}", content=content, headers=headers).raise_for_status()
        return digest
