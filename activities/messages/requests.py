"""One HTTP request of a channel: bounded, guarded, and every fault of it an error of the step."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx

from activities.guarded import GuardedTransport
from activities.settings import ActivitySettings
from activities.steps.http import MAX_BODY, MAX_REDIRECTS, Answer, shown
from activities.steps.registry import StepErrored


async def request(
    channel: str,
    method: str,
    url: str,
    *,
    headers: list[tuple[str, str]],
    content: bytes,
    settings: ActivitySettings,
    timeout: timedelta,
    verify: bool = True,
    follow_redirects: bool = False,
) -> Answer:
    """The answer, whatever its status. Raises StepErrored."""
    where = f"{channel}: {method} {shown(url)}"
    try:
        async with (
            httpx.AsyncClient(
                transport=GuardedTransport(verify=verify, mirrors=settings.http_mirrors),
                timeout=timeout.total_seconds(),
                follow_redirects=follow_redirects,
                max_redirects=MAX_REDIRECTS,
                headers={"User-Agent": "towpath"},
            ) as client,
            asyncio.timeout(timeout.total_seconds()),
            client.stream(
                method, url, headers=[(name.encode(), value.encode()) for name, value in headers], content=content
            ) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise StepErrored(f"{where}: the answer is larger than {MAX_BODY} bytes", final=True)
            return Answer(response.status_code, response.headers, bytes(body))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise StepErrored(
            f"{where}: no answer within {timeout.total_seconds():g} seconds; it may have arrived all the same"
        ) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, ValueError) as error:
        raise StepErrored(f"{where}: the request can't be made: {error}", final=True) from error
    except httpx.HTTPError as error:
        raise StepErrored(f"{where}: {error or type(error).__name__}") from error
