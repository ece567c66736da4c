"""Links from the details of one run to another, as the Temporal UI's Markdown follows them."""

from __future__ import annotations

from urllib.parse import quote

from temporalio import workflow


def link(workflow_id: str) -> str:
    """A Markdown link to the newest run of a workflow. Only within a workflow, whose namespace it is in."""
    return f"[{workflow_id}](/namespaces/{workflow.info().namespace}/workflows/{quote(workflow_id, safe='')})"
