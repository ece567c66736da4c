"""Label selectors of Kubernetes, as steps' configs hold them and as the API takes them."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from activities.steps.registry import StepConfig

_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def _label_key(key: str) -> str:
    if not _LABEL_KEY.fullmatch(key):
        raise ValueError(f"{key!r} can't be the key of a label")
    return key


def _label_value(value: str) -> str:
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{value!r} can't be the value of a label")
    return value


class LabelRequirement(StepConfig):
    """One requirement of a label selector."""

    #: The label.
    key: str = Field(min_length=1)
    #: How its value is compared.
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    #: With what; for `In` and `NotIn` alone.
    values: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def values_fit_the_operator(self) -> LabelRequirement:
        _label_key(self.key)
        for value in self.values:
            _label_value(value)
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"operator {self.operator} needs values")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"operator {self.operator} takes no values")
        return self

    def __str__(self) -> str:
        if self.operator == "Exists":
            return self.key
        if self.operator == "DoesNotExist":
            return f"!{self.key}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


class ApplicationSelector(StepConfig):
    """A label selector with at least one requirement."""

    #: Labels that an Application must have.
    match_labels: dict[str, str] = Field(default_factory=dict)
    #: Requirements that its labels must meet.
    match_expressions: list[LabelRequirement] = Field(default_factory=list)

    @field_validator("match_labels")
    @classmethod
    def labels_are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        return {_label_key(key): _label_value(value) for key, value in labels.items()}

    @model_validator(mode="after")
    def not_everything(self) -> ApplicationSelector:
        if not self.match_labels and not self.match_expressions:
            raise ValueError("a selector needs at least one of matchLabels and matchExpressions")
        return self

    def __str__(self) -> str:
        return ",".join(
            [*(f"{key}={value}" for key, value in self.match_labels.items()), *map(str, self.match_expressions)]
        )
