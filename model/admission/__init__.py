"""The rules by which a set of manifests is admitted, or refused whole."""

from __future__ import annotations

from model.admission.existing import Existing, ExistingProject, ExistingStage
from model.admission.validate_set import in_project, validate_set

__all__ = ["Existing", "ExistingProject", "ExistingStage", "in_project", "validate_set"]
