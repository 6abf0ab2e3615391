"""Azure OpenAI: OpenAI's chat completions behind a resource's own addresses and credentials.

With ``api_version`` a deployment has its own path; without one the model is named in the body, as
at OpenAI, under ``/openai/v1``. A key goes into ``api-key``; an Entra ID token, given as
``bearer_token``, into ``Authorization``. Streams open with a chunk without choices that holds
``prompt_filter_results``. Source:
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from santral.errors import ConfigError
from santral.providers.connection import Connection
from santral.providers.openai.provider import OpenAIProvider


class AzureProvider(OpenAIProvider):
    """Calls deployments of one Azure resource."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        config, root = connection.config, resource_of(connection)
        self._root = root
        self._version = config.api_version or ""
        self._url = f"{root}/openai/v1/chat/completions"
        self._urls: dict[str, str] = {}

    def address(self, model: str) -> str:
        """Return where conversations with a deployment are asked for."""
        if not self._version:
            return self._url
        url = self._urls.get(model)
        if url is None:
            # Quoted whole: a name with '#' or '/' would otherwise choose another address.
            url = self._urls[model] = (
                f"{self._root}/openai/deployments/{quote(model, safe='')}/chat/completions"
                f"?api-version={quote(self._version, safe='')}"
            )
        return url


def resource_of(connection: Connection) -> str:
    """Return the address of the resource, whichever of its paths the configuration holds.

    Raises:
        ConfigError: the address goes into some other path.
    """
    root = connection.base_url
    for path in ("/openai/v1", "/openai"):
        root = root.removesuffix(path)
    if "/openai/" in urlsplit(root).path:
        raise ConfigError(
            f"providers.{connection.name}.base_url: give the resource alone, for example "
            "https://NAME.openai.azure.com; paths and versions are added to it."
        )
    return root
