"""A worker's ways to the outside for tests of verifications: credentials from a directory, nothing else set up."""

from __future__ import annotations

from pathlib import Path

import yaml

from activities.outside import Outside, open_outside
from activities.settings import ActivitySettings


def outside_in(directory: Path, **secrets: dict[str, str]) -> Outside:
    """Ways to the outside whose Project `demo` has these Secrets, all generic."""
    credentials = directory / "credentials"
    (credentials / "demo").mkdir(parents=True)
    for name, data in secrets.items():
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"kargo.akuity.io/cred-type": "generic"}},
            "stringData": data,
        }
        file = credentials / "demo" / f"{name}.yaml"
        file.write_text(yaml.safe_dump(manifest))
        file.chmod(0o600)
    settings = ActivitySettings(data_directory=directory / "data", credentials_directory=credentials)
    return open_outside(settings, host_queue="tests")
