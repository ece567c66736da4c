"""From a Secret that leads to a credential to the credential itself."""

from __future__ import annotations

from activities.identities import artifact_registry, elastic_registry, github_app
from activities.identities.errors import IdentityError
from activities.identities.exchange import Exchange
from activities.identities.tokens import Token, TokenCache
from activities.settings import ActivitySettings
from credentials.directory import CredentialKind, HeldSecret

#: What leads to a token; the values of some are secrets themselves.
KEYS = frozenset((*github_app.KEYS, *elastic_registry.KEYS, *artifact_registry.KEYS))
SECRET_KEYS = frozenset(
    (github_app.PRIVATE_KEY, elastic_registry.SECRET_ACCESS_KEY, artifact_registry.SERVICE_ACCOUNT_KEY)
)

_REGISTRIES = (CredentialKind.IMAGE, CredentialKind.HELM)


class TokenBroker:
    """Gets tokens for Secrets, and keeps them while they last. One per process."""

    def __init__(self, settings: ActivitySettings) -> None:
        self.exchange = Exchange(settings)
        self.cache = TokenCache()

    def token(self, secret: HeldSecret, project: str, kind: CredentialKind, repo_url: str) -> Token | None:
        """The token that a Secret with some of `KEYS` leads to; None where it doesn't let this Project have one.

        `repo_url` is normalized. Raises IdentityError. Blocks.
        """
        held = set(secret.data)
        if held & set(github_app.KEYS):
            _only(kind is CredentialKind.GIT, "a GitHub App opens Git repositories", kind)
            if not github_app.scoped(secret.annotations, project, repo_url):
                return None
            return github_app.installation_token(secret.data, repo_url, self.exchange, self.cache)
        if held & set(elastic_registry.KEYS):
            _only(kind in _REGISTRIES, "an AWS access key opens images and charts", kind)
            if not elastic_registry.opens(repo_url):
                raise IdentityError(f"an AWS access key opens repositories of ECR alone, and {repo_url} is none")
            return elastic_registry.access_key_login(secret.data, self.exchange, self.cache)
        _only(kind in _REGISTRIES, "a Google service account opens images and charts", kind)
        if not artifact_registry.opens(repo_url):
            raise IdentityError(
                f"a Google service account opens repositories of pkg.dev and gcr.io alone, and {repo_url} is none"
            )
        return artifact_registry.service_account_login(secret.data, self.exchange, self.cache)


def _only(fits: bool, what: str, kind: CredentialKind) -> None:
    if not fits:
        raise IdentityError(f"{what}, but the Secret is labelled {kind}")
