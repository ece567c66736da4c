"""The step `http-download` (Kargo: pkg/promotion/runner/builtin/http_downloader.go)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
from pydantic import Field, field_validator

from activities.downloads import TooLargeDownload, save
from activities.guarded import GuardedTransport
from activities.steps.http import MAX_REDIRECTS, NamedValue, remember_secrets, shown
from activities.steps.registry import StepConfig, StepContext, StepErrored, StepFailed, StepOutput, step
from model.base import Duration
from model.steps import Effect

DEFAULT_TIMEOUT = timedelta(minutes=5)


class HttpDownloadConfig(StepConfig):
    """Kargo: schemas/http-download-config.json."""

    url: str = Field(min_length=1, description="What to download.")
    out_path: str = Field(min_length=1, description="File to write; directories are made as needed.")
    allow_overwrite: bool = Field(default=False, description="Replace a file that is there already.")
    headers: list[NamedValue] = Field(default_factory=list, description="Headers of the request.")
    query_params: list[NamedValue] = Field(default_factory=list, description="Added to the URL's own.")
    insecure_skip_tls_verify: bool = Field(
        default=False, alias="insecureSkipTLSVerify", description="Accept any TLS certificate."
    )
    timeout: Duration = Field(default=DEFAULT_TIMEOUT, description="How long the whole download may take.")

    @field_validator("timeout")
    @classmethod
    def longer_than_nothing(cls, duration: timedelta) -> timedelta:
        if duration <= timedelta(0):
            raise ValueError("expected a duration above zero")
        return duration


class DownloadOutput(StepOutput):
    """What arrived. A rebuild that finds another file at the address is noticed by it."""

    sha256: str = Field(description="SHA-256 of the file, in hexadecimal.")
    size: int = Field(description="Its bytes.")


@step("http-download", config=HttpDownloadConfig, output=DownloadOutput, effect=Effect.WORKSPACE)
async def http_download(config: HttpDownloadConfig, context: StepContext) -> DownloadOutput:
    """Download a file, of at most 100 MiB unless the worker's settings say otherwise. An answer of 4xx is Failed."""
    path = context.path(config.out_path)
    where = f"GET {shown(config.url)}"
    if path.is_dir() or (path.exists() and not config.allow_overwrite):
        raise StepErrored(f"{config.out_path} is there already; allowOverwrite: true would replace a file", final=True)
    remember_secrets(config.headers)
    seconds, limit = config.timeout.total_seconds(), context.outside.settings.download_limit
    try:
        transport = GuardedTransport(
            verify=not config.insecure_skip_tls_verify, mirrors=context.outside.settings.http_mirrors
        )
        async with httpx.AsyncClient(
            transport=transport,
            timeout=min(seconds, 60.0),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "towpath"},
        ) as client:
            url = httpx.URL(config.url)
            if config.query_params:
                present = list(url.params.multi_items())
                url = url.copy_with(params=present + [(param.name, param.value) for param in config.query_params])
            headers = [(header.name.encode(), header.value.encode()) for header in config.headers]
            async with asyncio.timeout(seconds), client.stream("GET", url, headers=headers) as response:
                _check(response, where, limit)
                saved = await save(response.aiter_bytes(), path, limit=limit)
    except (TimeoutError, httpx.TimeoutException):
        raise StepErrored(f"{where}: the download was not complete within {seconds:g} s") from None
    except TooLargeDownload:
        raise StepErrored(
            f"{where}: the file is larger than {limit} bytes (TOWPATH_DOWNLOAD_LIMIT)", final=True
        ) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, ValueError) as error:
        raise StepErrored(f"{where}: the request can't be made: {error}", final=True) from None
    except httpx.HTTPError as error:
        raise StepErrored(f"{where}: {error or type(error).__name__}") from None
    return DownloadOutput(sha256=saved.sha256, size=saved.size)


def _check(response: httpx.Response, where: str, limit: int) -> None:
    status = response.status_code
    if status in (408, 429) or status >= 500:
        raise StepErrored(f"{where}: HTTP {status}")
    if not 200 <= status < 300:
        raise StepFailed(f"{where}: HTTP {status}")
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLargeDownload(length)
