"""The keys that metrics sign AWS requests with: those of a Secret, or of a role assumed with them.

Source: AssumeRole of AWS' Security Token Service.
"""

from __future__ import annotations

from urllib.parse import urlencode

from activities.aws_signature import Keys, signature_headers
from activities.metrics.account import account, entry
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError


async def keys_of(
    context: MetricContext, client: MetricClient, secret: str, *, region: str = "", role_arn: str = ""
) -> Keys:
    """The keys in a Secret (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`).

    With a role, those of the role, which is assumed with them. Never the worker's own: whoever writes a template would
    borrow them. Raises MetricError.
    """
    values = await account(context, secret)
    keys = Keys(
        region or entry(values, secret, "AWS_REGION"),
        entry(values, secret, "AWS_ACCESS_KEY_ID"),
        entry(values, secret, "AWS_SECRET_ACCESS_KEY"),
        values.get("AWS_SESSION_TOKEN", "").strip(),
    )
    if not keys.region.replace("-", "").isalnum() or not keys.region.isascii():
        raise MetricError("the region of AWS has letters, digits and hyphens alone, like eu-central-1")
    return await _assumed(context, client, keys, role_arn) if role_arn else keys


async def _assumed(context: MetricContext, client: MetricClient, keys: Keys, role_arn: str) -> Keys:
    url = f"https://sts.{keys.region}.amazonaws.com/"
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": role_arn,
        "RoleSessionName": "towpath",
        "DurationSeconds": "900",
    }
    body = urlencode(form).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    signature = signature_headers(
        keys, service="sts", method="POST", url=url, body=body, now=context.now, headers=headers
    )
    answer = await client.send("POST", url, headers=headers | signature, content=body)
    if not answer.ok:
        raise MetricError(f"AWS refused the role {role_arn} (HTTP {answer.status}): {answer.text[:500]}")
    try:
        found = answer.json()["AssumeRoleResponse"]["AssumeRoleResult"]["Credentials"]
        values = [str(found[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MetricError(f"AWS answered the request for the role {role_arn} with something else than keys") from None
    for value in values:
        context.mask.add(value)
    return Keys(keys.region, *values)
