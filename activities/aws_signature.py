"""AWS Signature Version 4.

Source: AWS' documentation "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

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
