"""A provider of OpenID Connect on loopback, which speaks the real protocol: discovery, authorize, token, keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from web.process import _Server


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Double:
    """One issuer with one client, and one person who logs in at once."""

    client_id: str = "towpath"
    client_secret: str | None = None
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "7", "email": "ann@example.com"})
    #: By id; the last one signs.
    keys: dict[str, Any] = field(default_factory=lambda: {"one": rsa_key()})
    issuer: str = ""
    #: What else ID tokens say, instead of what they should.
    claims: dict[str, Any] = field(default_factory=dict)
    #: Requests, by path.
    requests: list[str] = field(default_factory=list)
    broken: bool = False
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def token(self, *, key: str = "", algorithm: str = "", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An ID token; a claim that is None is left out."""
        kid = key or list(self.keys)[-1]
        signer = self.keys[kid]
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            **self.person,
            **self.claims,
            **claims,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        algorithm = algorithm or ("ES256" if isinstance(signer, ec.EllipticCurvePrivateKey) else "RS256")
        return jwt.encode(kept, signer, algorithm, headers={"kid": kid, **(header or {})})

    def public(self) -> dict[str, Any]:
        found = []
        for kid, key in self.keys.items():
            kind = (
                jwt.algorithms.ECAlgorithm
                if isinstance(key, ec.EllipticCurvePrivateKey)
                else jwt.algorithms.RSAAlgorithm
            )
            found.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
        return {"keys": found}

    # What it serves

    async def discovery(self, request: Request) -> Response:
        self.requests.append("discovery")
        if self.broken:
            return Response(status_code=500)
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "groups"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        assert query["response_type"] == "code"
        assert query["client_id"] == self.client_id
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe()
        self._codes[code] = query
        answer = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
        return RedirectResponse(f"{query['redirect_uri']}?{answer}", 302)

    async def exchange(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        query = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        right = query is not None and (
            query["redirect_uri"] == form["redirect_uri"] and query["code_challenge"] == challenge.rstrip(b"=").decode()
        )
        if not right or not self._is_client(request, form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        assert query is not None
        token = self.token(**{"nonce": query.get("nonce"), **self.claims})
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})

    async def jwks(self, _: Request) -> Response:
        self.requests.append("keys")
        return JSONResponse(self.public(), 500 if self.broken else 200)

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        if self.client_secret is None:
            return form.get("client_id") == self.client_id
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {pair}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Double]:
        """The issuer, served on a free port of loopback."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        routes = [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/authorize", self.authorize),
            Route("/token", self.exchange, methods=["POST"]),
            Route("/keys", self.jwks),
        ]
        server = _Server(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off"))

        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield self
        finally:
            server.should_exit = True
            await task
            listening.close()
