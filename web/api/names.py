"""Names in paths: what they may look like, and what the OpenAPI document says of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

_LONGEST = 253

ProjectName = Annotated[str, Path(description="Name of the Project", min_length=1, max_length=_LONGEST)]
StageName = Annotated[str, Path(description="Name of the Stage", min_length=1, max_length=_LONGEST)]
WarehouseName = Annotated[str, Path(description="Name of the Warehouse", min_length=1, max_length=_LONGEST)]
FreightName = Annotated[
    str,
    Path(
        description="Name or alias of the Freight, or the beginning of its name, seven characters at least",
        min_length=1,
        max_length=_LONGEST,
    ),
]
PromotionName = Annotated[str, Path(description="Name of the Promotion", min_length=1, max_length=_LONGEST)]
AnalysisRunName = Annotated[str, Path(description="Name of the AnalysisRun", max_length=_LONGEST)]
