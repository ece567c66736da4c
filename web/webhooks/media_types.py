"""Image or chart? What a media type tells of an OCI repository (Kargo: pkg/webhook/external/media_types.go)."""

from __future__ import annotations

from model.urls import normalize_chart, normalize_image

#: Only images have these. An OCI manifest may be a chart's too.
_IMAGES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_CHART = "application/vnd.cncf.helm"


def repositories(url: str, media_type: str = "") -> frozenset[str]:
    """The repository, normalised as an image's, a chart's, or both where that can't be told."""
    if not url:
        return frozenset()
    if media_type.startswith(_CHART):
        return frozenset({normalize_chart(url)})
    if media_type in _IMAGES:
        return frozenset({normalize_image(url)})
    return frozenset({normalize_image(url), normalize_chart(url)})
