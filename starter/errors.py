"""What can go wrong between a person and the workflows, each said so that the person knows what to do next."""

from __future__ import annotations

from collections.abc import Sequence


class TowpathError(Exception):
    """Base of all errors of the client. The text is one sentence for people, without a traceback's detail."""


class ServerSilent(TowpathError):
    """No Temporal server answers at the address that was tried."""


class WorkerSilent(TowpathError):
    """The server answers, but no worker did within the bound: nobody is there to run the workflows."""


class NotFound(TowpathError):
    """There is no resource of that kind and name."""


class Ambiguous(TowpathError):
    """A name or its beginning fits more than one resource."""


class Refused(TowpathError):
    """The owner of the resource said no, and why. Nothing was changed."""


class InvalidInput(TowpathError):
    """What was given can't be right, whatever the workflows would say."""


class InvalidManifests(TowpathError):
    """A set of manifests has problems, one line each (`file:line: Kind/name: field: message`). Nothing was changed."""

    def __init__(self, problems: Sequence[str], warnings: Sequence[str] = ()) -> None:
        self.problems = list(problems)
        self.warnings = list(warnings)
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the manifests; nothing was changed")
