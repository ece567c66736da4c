"""From what was discovered to Freight: the best candidate of every subscription (KARGO: pkg/controller/warehouses)."""

from __future__ import annotations

from model.fingerprint import fingerprint
from model.references import Chart, FreightOrigin, FreightReference, GitCommit, Image
from model.resources.warehouse import DiscoveredArtifacts, WarehouseSpec


class Incomplete(Exception):
    """No Freight can be made: a subscription has no candidate."""


def assemble(warehouse: str, spec: WarehouseSpec, found: DiscoveredArtifacts) -> FreightReference:
    """The Freight of the first candidates of all subscriptions; there is no cross product.

    Raises Incomplete, naming the first subscription without a candidate.
    """
    origin = FreightOrigin(name=warehouse)
    commits, images, charts, artifacts = [], [], [], []
    for git in found.git:
        if not git.commits:
            raise Incomplete(f"no commit found for git {git.repo_url}")
        commit = git.commits[0]
        commits.append(
            GitCommit(
                repo_url=git.repo_url,
                id=commit.id,
                branch=commit.branch or None,
                tag=commit.tag or None,
                message=commit.subject or None,
                author=commit.author or None,
                committer=commit.committer or None,
                subscription_name=git.subscription_name or None,
            )
        )
    for image in found.images:
        if not image.references:
            raise Incomplete(f"no tag found for image {image.repo_url}")
        reference = image.references[0]
        images.append(
            Image(
                repo_url=image.repo_url,
                tag=reference.tag,
                digest=reference.digest,
                annotations=reference.annotations or None,
                subscription_name=image.subscription_name or None,
            )
        )
    for chart in found.charts:
        if not chart.versions:
            raise Incomplete(f"no version found for chart {chart.repo_url} {chart.name}".rstrip())
        charts.append(
            Chart(
                repo_url=chart.repo_url,
                name=chart.name,
                version=chart.versions[0],
                subscription_name=chart.subscription_name or None,
            )
        )
    for result in found.results:
        if not result.artifact_references:
            raise Incomplete(f"nothing found for subscription {result.name}")
        artifacts.append(result.artifact_references[0])
    count = len(commits) + len(images) + len(charts) + len(artifacts)
    if count < len(spec.subscriptions):
        raise Incomplete(f"{len(spec.subscriptions) - count} of its subscriptions were not looked at yet")
    freight = FreightReference(origin=origin, commits=commits, images=images, charts=charts, artifacts=artifacts)
    return freight.model_copy(update={"name": fingerprint(freight)})
