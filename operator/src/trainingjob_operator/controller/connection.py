"""Where the API server is and how to log in: the kubeconfig, or else the pod's service account.

Kopf and the operator's own calls share it, so that a token that is read anew holds for both.
"""

from __future__ import annotations

import logging
import os
import ssl
from urllib.parse import urlsplit

import kubernetes.client
import kubernetes.config
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME

logger = logging.getLogger(__name__)


class LoginError(Exception):
    """Neither a kubeconfig nor a service account tells how to log in."""


class Connection:
    """The address of the API server and the current credentials.

    Attributes:
        configuration: The same for the official client, updated in place by :meth:`renew`.

    Raises:
        LoginError: There are no credentials, or they make no sense.
    """

    def __init__(self) -> None:
        self.configuration = kubernetes.client.Configuration()
        self._authorization: str | None = None
        self._load()

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.configuration.host)

    @property
    def prefix(self) -> str:
        """What precedes the API's own paths in the URL, usually nothing."""
        return urlsplit(self.server).path.rstrip("/")

    def authorization(self) -> str | None:
        """The value of the header Authorization; None where a certificate logs in."""
        try:
            # The official client reads a file that is older than a minute once more, or asks a plug-in.
            self._authorization = self.configuration.get_api_key_with_prefix("BearerToken")
        except (kubernetes.config.ConfigException, OSError) as error:
            logger.warning("The credentials cannot be read anew: %s", error)
        return self._authorization

    def renew(self, refused: str | None) -> bool:
        """Read the credentials from their files at once.

        Args:
            refused: The header that the API server did not take.

        Returns:
            Whether there is another one now.
        """
        try:
            self._load()
        except LoginError as error:
            logger.warning("The credentials cannot be read anew: %s", error)
        return self.authorization() != refused

    def ssl_context(self) -> ssl.SSLContext:
        """The trust in the API server and, where there is one, the client's certificate."""
        configuration = self.configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _load(self) -> None:
        in_cluster = SERVICE_HOST_ENV_NAME in os.environ and not os.environ.get("KUBECONFIG")
        load = kubernetes.config.load_incluster_config if in_cluster else kubernetes.config.load_kube_config
        try:
            load(client_configuration=self.configuration)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise LoginError(
                f"no credentials for the API server: {error}; set KUBECONFIG, or run with a service account"
            ) from error
