"""Signatures of AWS requests against those that AWS publishes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from activities.aws_signature import Keys, signature_headers

#: The keys of AWS' published examples, which open nothing.
PUBLISHED = Keys("us-east-1", "AKIDEXAMPLE", "/".join(("wJalrXUtnFEMI", "K7MDENG+bPxRfiCYEXAMPLEKEY")))


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_signature_is_the_published_one(url: str, signature: str) -> None:
    moment = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    headers = signature_headers(PUBLISHED, service="service", method="GET", url=url, body=b"", now=moment)
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={signature}")
