"""The kinds of resources, by all the names a person may call them (Kargo's custom resource definitions)."""

from __future__ import annotations

from dataclasses import dataclass

from starter.errors import InvalidInput

KARGO = "kargo.akuity.io/v1alpha1"
ARGOPROJ = "argoproj.io/v1alpha1"
ENTERPRISE = "ee.kargo.akuity.io/v1alpha1"


@dataclass(frozen=True)
class Kind:
    """One kind of resource."""

    #: As in manifests: `PromotionTask`.
    name: str
    #: As on the command line: `promotiontasks`.
    plural: str
    short: tuple[str, ...] = ()
    api_version: str = KARGO
    #: Lives in a Project (in Kargo: in its namespace).
    namespaced: bool = True

    @property
    def singular(self) -> str:
        return self.name.lower()

    def resource_name(self, name: str) -> str:
        """As `-o name` prints it: `stage.kargo.akuity.io/dev`."""
        return f"{self.singular}.{self.api_version.partition('/')[0]}/{name}"


PROJECT = Kind("Project", "projects", namespaced=False)
PROJECT_CONFIG = Kind("ProjectConfig", "projectconfigs")
WAREHOUSE = Kind("Warehouse", "warehouses")
FREIGHT = Kind("Freight", "freight", ("freights",))
STAGE = Kind("Stage", "stages")
PROMOTION = Kind("Promotion", "promotions", ("promo", "promos"))
VERIFICATION = Kind("AnalysisRun", "analysisruns", ("verification", "verifications", "ar"), ARGOPROJ)
PROMOTION_TASK = Kind("PromotionTask", "promotiontasks", ("promotask", "promotasks"))
CLUSTER_PROMOTION_TASK = Kind(
    "ClusterPromotionTask", "clusterpromotiontasks", ("clusterpromotask", "clusterpromotasks"), namespaced=False
)
MESSAGE_CHANNEL = Kind("MessageChannel", "messagechannels", api_version=ENTERPRISE)
CLUSTER_MESSAGE_CHANNEL = Kind(
    "ClusterMessageChannel", "clustermessagechannels", api_version=ENTERPRISE, namespaced=False
)
ANALYSIS_TEMPLATE = Kind("AnalysisTemplate", "analysistemplates", ("at",), ARGOPROJ)
CLUSTER_ANALYSIS_TEMPLATE = Kind(
    "ClusterAnalysisTemplate", "clusteranalysistemplates", ("cat",), ARGOPROJ, namespaced=False
)
CLUSTER_CONFIG = Kind("ClusterConfig", "clusterconfigs", namespaced=False)

KINDS = (
    PROJECT,
    PROJECT_CONFIG,
    WAREHOUSE,
    FREIGHT,
    STAGE,
    PROMOTION,
    VERIFICATION,
    PROMOTION_TASK,
    CLUSTER_PROMOTION_TASK,
    ANALYSIS_TEMPLATE,
    CLUSTER_ANALYSIS_TEMPLATE,
    CLUSTER_CONFIG,
    MESSAGE_CHANNEL,
    CLUSTER_MESSAGE_CHANNEL,
)
_BY_NAME = {spelling: kind for kind in KINDS for spelling in (kind.singular, kind.plural, *kind.short)}


def spellings() -> list[str]:
    """All names of kinds, for completion: plurals first."""
    return [*(kind.plural for kind in KINDS), "verifications"]


def find_kind(text: str) -> Kind:
    """The kind a person means by `stage`, `stages`, `Stage`, `promo` or `stage.kargo.akuity.io`.

    Raises InvalidInput, naming all kinds.
    """
    spelling, _, group = text.strip().lower().partition(".")
    kind = _BY_NAME.get(spelling)
    if kind is None or group not in {"", kind.api_version.partition("/")[0]}:
        raise InvalidInput(f"there is no kind of resource {text!r}; known are {', '.join(spellings())}")
    return kind
