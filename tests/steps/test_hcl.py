"""hcl-update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import activities.steps.structured  # noqa: F401 (registers the steps)
from activities.hcl_edit import InvalidHcl, set_hcl_values
from activities.steps.registry import StepErrored
from activities.yaml_edit import NoSuchKey
from tests.steps.contexts import run_step, step_context

MAIN = """\
# What runs.
resource "aws_lambda_function" "app" {
  function_name = "app"   // no change
  image_uri     = "registry.example.com/app:1.0.0" # the tag
  memory=128

  environment {
    variables = { LOG = "debug", "a.b/c" = 'x', (var.name) = 1 }
  }
  policy = <<-EOT
    image_uri = "not me"
    ${jsonencode(var.policy)}
  EOT
}

/* several alike */
resource "aws_security_group" "app" {
  ingress {
    port = 80
  }
  ingress { port = 443 }
}

locals {
  zones = ["a", "b",
    { name = "c" }]
  size = var.size * 2
  name = "${var.name}-app"
  none = [for zone in var.zones : upper(zone)]
}
""".replace("'x'", '"x"')

# key, value, the line before, the line afterwards
UPDATES: dict[str, tuple[str, Any, str, str]] = {
    "an attribute of a labelled block": (
        "resource.aws_lambda_function.app.image_uri", "registry.example.com/app:1.1.0",
        '"registry.example.com/app:1.0.0" # the tag', '"registry.example.com/app:1.1.0" # the tag',
    ),
    "a number": ("resource.aws_lambda_function.app.memory", 256, "  memory=128\n", "  memory=256\n"),
    "a whole number that came as a float": ("resource.aws_lambda_function.app.memory", 2.0, "memory=128", "memory=2"),
    "a bool": ("resource.aws_lambda_function.app.memory", True, "memory=128", "memory=true"),
    "an object's key": (
        "resource.aws_lambda_function.app.environment.variables.LOG", "info", 'LOG = "debug",', 'LOG = "info",'
    ),
    "a quoted key with dots": (
        r"resource.aws_lambda_function.app.environment.variables.a\.b/c", "y", '"a.b/c" = "x"', '"a.b/c" = "y"'
    ),
    "one of several blocks": ("resource.aws_security_group.app.ingress.1.port", 8443, "port = 443", "port = 8443"),
    "a list's item": ("locals.zones.1", "z", '"b",\n', '"z",\n'),
    "an object in a list": ("locals.zones.2.name", "z", 'name = "c"', 'name = "z"'),
    "an expression": ("locals.size", 4, "size = var.size * 2", "size = 4"),
    "a template": ("locals.name", "app", '"${var.name}-app"', '"app"'),
    "what looks like a template is text": ("locals.name", 'a${b} %{c} $d "\\\n', '"${var.name}-app"', '"a$${b} %%{c} $d \\"\\\\\\n"'),  # noqa: E501
    "a heredoc": (
        "resource.aws_lambda_function.app.policy", "{}",
        '<<-EOT\n    image_uri = "not me"\n    ${jsonencode(var.policy)}\n  EOT\n', '"{}"\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("case", UPDATES)
def test_hcl_is_changed_in_place(case: str, ends: str) -> None:
    key, value, old, new = UPDATES[case]
    before, old, new = (text.replace("\n", ends) for text in (MAIN, old, new))
    assert before.count(old) == 1
    assert set_hcl_values(before, [(key, value)]) == before.replace(old, new)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("locals.missing", 1, "is not there: nothing at 'missing'"),
        ("resource.aws_lambda_function.other.memory", 1, "nothing at 'other'"),
        ("locals.zones.7", 1, "nothing at '7'"),
        ("locals.size.x", 1, "nothing at 'x'"),
        ("resource.aws_security_group.app.ingress.port", 1, "could mean 2 values"),
        ("resource.aws_security_group.app.ingress.5.port", 1, "nothing at '5'"),
        ("resource.aws_lambda_function.app", 1, "is not a single value"),
        ("locals.zones", 1, "is not a single value"),
        ("locals.none", 1, "is not a single value"),
        ("locals.size", None, "must be text, a number or a bool"),
        ("locals.size", [1], "must be text, a number or a bool"),
        ("locals..size", 1, "empty part"),
    ],
)
def test_keys_that_lead_nowhere(key: str, value: Any, says: str) -> None:
    with pytest.raises(NoSuchKey, match=says):
        set_hcl_values(MAIN, [(key, value)])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = 1\nb = \n", "line 3, column 1"),
        ("a {\n", "line 2, column 1"),
        ("a = [1,\n", "line"),
        ('a = "b\n', "line"),
        ("a = " + "[" * 100_000, "line 1"),
    ],
)
def test_what_is_no_hcl_is_named_with_its_place(text: str, where: str) -> None:
    with pytest.raises(InvalidHcl, match=where):
        set_hcl_values(text, [("a", 1)])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_becomes_one_value_that_can_be_replaced_again(text: str) -> None:
    once = set_hcl_values("a = 1 # c\nb = 2\n", [("a", text)])
    assert once.startswith('a = "')
    assert once.endswith('" # c\nb = 2\n')
    assert set_hcl_values(once, [("a", 1)]) == "a = 1 # c\nb = 2\n"


async def test_the_step_says_what_it_did_and_a_rebuild_gives_the_same(tmp_path: Path) -> None:
    config = {"path": "main.tf", "updates": [{"key": "locals.name", "value": "b"}, {"key": "locals.size", "value": 3}]}
    outputs = []
    for workspace in (tmp_path / "one", tmp_path / "two"):
        context = step_context(workspace)
        (workspace / "main.tf").write_text(MAIN)
        outputs.append((await run_step("hcl-update", config, context), (workspace / "main.tf").read_text()))
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == {"commitMessage": 'Updated main.tf\n\n- locals.name: "b"\n- locals.size: 3'}


@pytest.mark.parametrize(
    ("text", "says"),
    [("a = 1\n", "main.tf: key 'b' is not there"), ("a = \n", "main.tf: line 2, column 1"), (None, "can't be read")],
)
async def test_the_file_is_named_in_errors(tmp_path: Path, text: str | None, says: str) -> None:
    context = step_context(tmp_path)
    if text is not None:
        (tmp_path / "main.tf").write_text(text)
    with pytest.raises(StepErrored, match=says):
        await run_step("hcl-update", {"path": "main.tf", "updates": [{"key": "b", "value": 1}]}, context)
