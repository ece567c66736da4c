"""Warehouse: what to look for in which repositories (Kargo: api/v1alpha1/warehouse_types.go, pkg/subscription)."""

from __future__ import annotations

import difflib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from model.base import Json, Manifest, Time
from model.references import ArtifactReference, SubscribedRepo
from model.resources.metadata import Condition
from model.resources.period import Period
from model.resources.resource import KARGO, KargoVersion, Resource

#: How many candidates are kept per subscription where nothing else is said.
DEFAULT_DISCOVERY_LIMIT = 20

_TYPES = ("git", "image", "chart")

#: 1 to 100; 0 stands for the default, as in Kargo.
DiscoveryLimit = Annotated[
    int, BeforeValidator(lambda value: value if value != 0 else DEFAULT_DISCOVERY_LIMIT), Field(ge=1, le=100)
]


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a time like 2026-01-31T12:00:00Z") from None


#: Read here, because behind the validator of RepoSubscription pydantic no longer knows that it reads JSON.
Moment = Annotated[Time, BeforeValidator(_moment)]


class CommitSelectionStrategy(StrEnum):
    """How the commits of a Git repository are chosen and ordered."""

    NEWEST_FROM_BRANCH = "NewestFromBranch"
    NEWEST_TAG = "NewestTag"
    SEMVER = "SemVer"
    LEXICAL = "Lexical"


class ImageSelectionStrategy(StrEnum):
    """How the tags of an image repository are chosen and ordered."""

    SEMVER = "SemVer"
    NEWEST_BUILD = "NewestBuild"
    LEXICAL = "Lexical"
    DIGEST = "Digest"


class FreightCreationPolicy(StrEnum):
    """Whether Freight is made after each successful discovery, or only by hand."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class GitSubscription(Manifest):
    """A subscription to a Git repository."""

    repo_url: str = Field(alias="repoURL", min_length=1)
    commit_selection_strategy: CommitSelectionStrategy = CommitSelectionStrategy.NEWEST_FROM_BRANCH
    #: Empty: the branch the remote's HEAD points at.
    branch: str = Field(default="", max_length=255)
    strict_semvers: bool = True
    semver_constraint: str = ""
    #: The tag must match any of these (RE2, unanchored).
    allow_tags_regexes: list[str] = Field(default_factory=list)
    #: The tag must match none of these; wins over allowTagsRegexes.
    ignore_tags_regexes: list[str] = Field(default_factory=list)
    #: Gone since Kargo 1.11: one regular expression.
    allow_tags: str = ""
    #: Gone since Kargo 1.11: exact tags.
    ignore_tags: list[str] = Field(default_factory=list)
    expression_filter: str = ""
    include_paths: list[str] = Field(default_factory=list)
    exclude_paths: list[str] = Field(default_factory=list)
    insecure_skip_tls_verify: bool = Field(default=False, alias="insecureSkipTLSVerify")
    #: Whether clones leave out file contents until they are needed; empty: decided by the worker.
    blobless: bool | None = None
    #: Older commits are no candidates.
    since: Moment | None = None
    discovery_limit: DiscoveryLimit = DEFAULT_DISCOVERY_LIMIT

    def allowed_tags(self) -> list[str]:
        """All regular expressions of which a tag must match one; none: all tags."""
        return [*self.allow_tags_regexes, *([self.allow_tags] if self.allow_tags else [])]


class ImageSubscription(Manifest):
    """A subscription to a container image repository."""

    repo_url: str = Field(alias="repoURL", min_length=1)
    image_selection_strategy: ImageSelectionStrategy = ImageSelectionStrategy.SEMVER
    #: A semantic version range for SemVer, the one tag for Digest.
    constraint: str = ""
    strict_semvers: bool = True
    #: The tag must match any of these (RE2, unanchored).
    allow_tags_regexes: list[str] = Field(default_factory=list)
    #: The tag must match none of these; wins over allowTagsRegexes.
    ignore_tags_regexes: list[str] = Field(default_factory=list)
    #: Gone since Kargo 1.11: one regular expression.
    allow_tags: str = ""
    #: Gone since Kargo 1.11: exact tags.
    ignore_tags: list[str] = Field(default_factory=list)
    #: `os/arch[/variant]`; tags without it are skipped.
    platform: str = ""
    cache_by_tag: bool = False
    insecure_skip_tls_verify: bool = Field(default=False, alias="insecureSkipTLSVerify")
    discovery_limit: DiscoveryLimit = DEFAULT_DISCOVERY_LIMIT

    def allowed_tags(self) -> list[str]:
        """All regular expressions of which a tag must match one; none: all tags."""
        return [*self.allow_tags_regexes, *([self.allow_tags] if self.allow_tags else [])]


class ChartSubscription(Manifest):
    """A subscription to a Helm chart, in an HTTP repository by name or in an OCI repository of its own."""

    repo_url: str = Field(alias="repoURL", min_length=1)
    #: The chart's name in an HTTP repository; empty for OCI, where it is part of the URL.
    name: str = ""
    semver_constraint: str = ""
    insecure_skip_tls_verify: bool = Field(default=False, alias="insecureSkipTLSVerify")
    discovery_limit: DiscoveryLimit = DEFAULT_DISCOVERY_LIMIT


class Subscription(Manifest):
    """A subscription to anything else; `subscriptionType` is the key under which it stands in the manifest."""

    subscription_type: str = Field(min_length=1)
    config: Json = None
    discovery_limit: DiscoveryLimit = DEFAULT_DISCOVERY_LIMIT


class RepoSubscription(Manifest):
    """One subscription: exactly one of git, image, chart, or another type under its own key; and maybe a name."""

    name: str = ""
    git: GitSubscription | None = None
    image: ImageSubscription | None = None
    chart: ChartSubscription | None = None
    subscription: Subscription | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_type(cls, value: object) -> object:
        if not isinstance(value, dict) or any(isinstance(entry, Manifest) for entry in value.values()):
            return value
        types = [key for key, entry in value.items() if key != "name" and entry is not None]
        if len(types) != 1:
            found = f"it has {', '.join(map(str, types))}" if types else "it has none"
            raise ValueError(f"a subscription needs exactly one of git, image and chart (or another type); {found}")
        (key,) = types
        entry = value[key]
        if key not in _TYPES and (near := difflib.get_close_matches(str(key), _TYPES, n=1)):
            raise ValueError(f"there is no subscription type {key}; did you mean {near[0]}?")
        if key in _TYPES or not isinstance(entry, dict):
            return value
        generic = entry if key == "subscription" and "subscriptionType" in entry else {**entry, "subscriptionType": key}
        return {"subscription": generic} | ({"name": value["name"]} if value.get("name") is not None else {})

    @model_serializer(mode="wrap")
    def _under_type(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Json]:
        shown: dict[str, Json] = serialize(self)
        generic = shown.pop("subscription", None)
        if self.subscription is not None and generic is not None:
            entry = {
                key: value for key, value in generic.items() if key not in ("subscriptionType", "subscription_type")
            }
            shown[self.subscription.subscription_type] = entry
        if not self.name:
            shown.pop("name", None)
        return {key: value for key, value in shown.items() if value is not None}

    @property
    def type(self) -> str:
        """`git`, `image`, `chart`, or the type of a generic subscription."""
        if self.git:
            return "git"
        if self.image:
            return "image"
        if self.chart:
            return "chart"
        return self.subscription.subscription_type if self.subscription else ""

    def repo(self) -> SubscribedRepo:
        """What expressions need of it, to tell which origin a repository belongs to."""
        if self.git:
            return SubscribedRepo(kind="git", repo_url=self.git.repo_url, name=self.name)
        if self.image:
            return SubscribedRepo(kind="image", repo_url=self.image.repo_url, name=self.name)
        if self.chart:
            return SubscribedRepo(kind="chart", repo_url=self.chart.repo_url, name=self.chart.name)
        return SubscribedRepo(kind="artifact", name=self.name)


class FreightCreationCriteria(Manifest):
    """An expression, without delimiters, that must hold for Freight to be made."""

    expression: str = ""


class WarehouseSpec(Manifest):
    """What to look for, how often, and whether Freight is made of it."""

    shard: str = ""
    interval: Period = timedelta(minutes=5)
    freight_creation_policy: FreightCreationPolicy = FreightCreationPolicy.AUTOMATIC
    freight_creation_criteria: FreightCreationCriteria | None = None
    subscriptions: list[RepoSubscription] = Field(min_length=1)

    def repos(self) -> list[SubscribedRepo]:
        """What it subscribes to, as expressions need it."""
        return [subscription.repo() for subscription in self.subscriptions]


class DiscoveredCommit(Manifest):
    """A candidate found in a Git repository. `subject` is cut at 80 characters."""

    id: str = ""
    branch: str = ""
    tag: str = ""
    subject: str = ""
    author: str = ""
    committer: str = ""
    #: When the commit was made, for an annotated tag when the tag was.
    creator_date: Time | None = None
    #: Of annotated tags, beyond what Kargo records.
    tagger: str | None = None
    annotation: str | None = None


class DiscoveredRef(Manifest):
    """A ref and the object it pointed at."""

    name: str
    id: str


class GitDiscoveryRefs(Manifest):
    """What a remote's refs were when it was last looked at, to notice that nothing has moved."""

    branch_head: str = ""
    tags: list[DiscoveredRef] = Field(default_factory=list)


class GitDiscoveryResult(Manifest):
    """The candidates of one Git subscription, best first."""

    repo_url: str = Field(alias="repoURL")
    commits: list[DiscoveredCommit] = Field(default_factory=list)
    subscription_name: str = ""
    observed_refs: GitDiscoveryRefs | None = None


class DiscoveredImageReference(Manifest):
    """A candidate found in an image repository."""

    tag: str
    digest: str
    annotations: dict[str, str] = Field(default_factory=dict)
    created_at: Time | None = None


class ImageDiscoveryResult(Manifest):
    """The candidates of one image subscription, best first."""

    repo_url: str = Field(alias="repoURL")
    platform: str = ""
    references: list[DiscoveredImageReference] = Field(default_factory=list)
    subscription_name: str = ""


class ChartDiscoveryResult(Manifest):
    """The candidate versions of one chart subscription, best first."""

    repo_url: str = Field(alias="repoURL")
    name: str = ""
    semver_constraint: str = ""
    versions: list[str] = Field(default_factory=list)
    subscription_name: str = ""


class DiscoveryResult(Manifest):
    """The candidates of one generic subscription, best first."""

    name: str
    artifact_references: list[ArtifactReference] = Field(default_factory=list)


class DiscoveredArtifacts(Manifest):
    """All candidates of the last successful discovery."""

    discovered_at: Time
    git: list[GitDiscoveryResult] = Field(default_factory=list)
    images: list[ImageDiscoveryResult] = Field(default_factory=list)
    charts: list[ChartDiscoveryResult] = Field(default_factory=list)
    results: list[DiscoveryResult] = Field(default_factory=list)


class WarehouseStatus(Manifest):
    """What was last observed of a Warehouse."""

    conditions: list[Condition] = Field(default_factory=list)
    last_handled_refresh: str = ""
    observed_generation: int = 0
    last_freight_id: str = Field(default="", alias="lastFreightID")
    discovered_artifacts: DiscoveredArtifacts | None = None


class Warehouse(Resource):
    """Looks for artifacts and makes Freight of them."""

    api_version: KargoVersion = KARGO
    kind: Literal["Warehouse"] = "Warehouse"
    spec: WarehouseSpec
    status: WarehouseStatus = Field(default_factory=WarehouseStatus)
