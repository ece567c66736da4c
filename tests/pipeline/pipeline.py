"""A Project in the shape of kargo-advanced: its repository, image, Applications, manifests, and what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.world.git_server import Repository
from tests.pipeline.installation import Installation, unique, until

MANIFESTS = Path(__file__).parent / "manifests"
#: What the manifests call the Project; each test calls its own another name.
NAME = "harbour"
WAREHOUSE = "cargo"
REGIONS = ("prod-central", "prod-east", "prod-west")
#: The Stages with steps, and so with an Application and a branch.
STAGES = ("dev", "staging", "ab-test-a", "ab-test-b", *REGIONS)
FIRST, SECOND = "v1.0.0", "v1.1.0"

_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: harbour
spec:
  replicas: 1
  selector:
    matchLabels: {app: harbour}
  template:
    metadata:
      labels: {app: harbour}
    spec:
      containers:
        - name: harbour
          image: IMAGE:v0.0.0
"""


@dataclass
class Pipeline:
    """One Project of an installation."""

    towpath: Installation
    project: str
    repository: Repository
    warehouse: str = WAREHOUSE

    @classmethod
    def create(cls, towpath: Installation) -> Pipeline:
        """A new Project's world: a repository, an image, an Application for each Stage. Nothing is applied yet."""
        project = unique(NAME)
        files = {
            "base/kustomization.yaml": "resources: [deployment.yaml]\n",
            "base/deployment.yaml": _DEPLOYMENT.replace("IMAGE", f"registry.example.com/{project}"),
        }
        for stage in STAGES:
            text = f"resources: [../../base]\nnamespace: {NAME}-{stage}\n"
            files[f"env/{stage}/kustomization.yaml"] = text
        built = cls(towpath, project, towpath.git.repository(project, files))
        towpath.registry.push(project, FIRST)
        for stage in STAGES:
            source = {"repoURL": built.repo_url, "path": "./", "targetRevision": f"env/{stage}"}
            towpath.argocd.create(built.application(stage), source, stages=f"{project}:{stage}")
        return built

    @property
    def repo_url(self) -> str:
        return f"https://git.example.com/{self.project}.git"

    def application(self, stage: str) -> str:
        return f"{self.project}-{stage}"

    def manifests(self, changes: Mapping[str, str] | None = None) -> str:
        """The manifests for this Project; `changes`: texts to put in the place of others."""
        text = "---\n".join(path.read_text() for path in sorted(MANIFESTS.glob("*.yaml"))).replace(NAME, self.project)
        for old, new in (changes or {}).items():
            assert old in text, f"{old!r} is nowhere in the manifests"
            text = text.replace(old, new)
        return text

    def apply(self, changes: Mapping[str, str] | None = None) -> str:
        """Apply the manifests; what `apply` says."""
        return self.towpath.run("apply", "-f", "-", stdin=self.manifests(changes))

    def run(self, *arguments: str) -> str:
        """Type a command about this Project that must succeed."""
        return self.towpath.run(*arguments, "-p", self.project)

    def fail(self, *arguments: str) -> str:
        """Type a command about this Project that must fail; what it says."""
        return self.towpath.fail(*arguments, "-p", self.project)

    def read(self, *arguments: str) -> Any:
        """What `towpath get … -o json` shows of this Project."""
        return self.towpath.read(*arguments, "-p", self.project)

    def discover(self, tag: str = FIRST) -> str:
        """Have the Warehouse look now; the name of the Freight with this tag."""
        self.run("refresh", "warehouse", self.warehouse, "--wait")
        found: str = until(
            lambda: next((f["metadata"]["name"] for f in self.read("freight")["items"] if _tag(f) == tag), None),
            f"Freight of {tag}",
        )
        return found

    def promote(self, stage: str, freight: str) -> dict[str, Any]:
        """Promote and wait for the end; the Promotion, which Succeeded."""
        text = self.run("promote", "--stage", stage, "--freight", freight, "--wait")
        name = text.partition("/")[2].split()[0]
        promotion: dict[str, Any] = self.read("promotion", name)
        return promotion

    def bring(self, stage: str, freight: str) -> dict[str, Any]:
        """Promote, and wait until the Freight counts as verified there; the Promotion."""
        promotion = self.promote(stage, freight)
        self.await_verified(stage, freight)
        return promotion

    def freight(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.read("freight", name)
        return shown

    def stage(self, name: str) -> dict[str, Any]:
        """A Stage's status."""
        status: dict[str, Any] = self.read("stage", name)["status"]
        return status

    def verified_in(self, freight: str) -> list[str]:
        return sorted(self.freight(freight)["status"].get("verifiedIn", {}))

    def await_verified(self, stage: str, freight: str) -> None:
        until(lambda: stage in self.verified_in(freight), f"{freight} verified in {stage}; it is {self.stage(stage)}")

    def await_health(self, stage: str, health: str) -> dict[str, Any]:
        """Wait for a Stage's health; the status then."""

        def look() -> dict[str, Any] | None:
            status = self.stage(stage)
            return status if status.get("health", {}).get("status") == health else None

        return until(look, f"{stage} {health}")

    def await_verification(self, stage: str, phase: str) -> dict[str, Any]:
        """Wait until the newest verification of what a Stage holds has this phase; its entry in the history."""

        def look() -> dict[str, Any] | None:
            newest = next(iter(self.stage(stage)["freightHistory"][0].get("verificationHistory", [])), {})
            return newest if newest.get("phase") == phase else None

        return until(look, f"verification {phase} in {stage}")


def _tag(freight: dict[str, Any]) -> str:
    return str(freight["images"][0]["tag"])
