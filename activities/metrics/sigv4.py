"""AWS Signature Version 4, and the keys to sign with.

Source: AWS' documentation "Create a signed AWS API request"; AssumeRole of the Security Token Service.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from activities.metrics.account import account, entry
from activities.metrics.http import MetricClient
from activities.metrics.registry import MetricContext, MetricError

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Keys:
    """What requests are signed with, and the region they go to."""

    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signature_headers(
    keys: Keys, *, service: str, method: str, url: str, body: bytes, now: datetime, headers: Mapping[str, str] = {}
) -> dict[str, str]:
    """The headers that sign a request: send them with `headers`, all of which are signed too."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    digest = hashlib.sha256(body).hexdigest()
    added = {"x-amz-date": moment} | ({"x-amz-security-token": keys.session_token} if keys.session_token else {})
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()} | added
    signed["host"] = parts.netloc.rpartition("@")[2]
    names = ";".join(sorted(signed))
    # Paths are encoded twice, for every service but S3.
    path = quote(quote(unquote(parts.path) or "/", safe="/~"), safe="/~")
    query = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in parse_qsl(parts.query, keep_blank_values=True))
    canonical = "\n".join(
        (
            method,
            path,
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            digest,
        )
    )
    scope = f"{moment[:8]}/{keys.region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in (moment[:8], keys.region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{keys.access_key_id}/{scope}"
    return added | {
        "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    }


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
