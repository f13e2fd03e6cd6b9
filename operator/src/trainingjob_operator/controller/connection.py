"""Address and credentials of the API server, from the kubeconfig or the service account of the pod.

Kopf and the operator's own requests share them, so that both use a renewed token.
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
    """There are no credentials, neither in a kubeconfig nor in a service account."""


class Connection:
    """The address of the API server and the current credentials.

    Attributes:
        configuration: For the official client; :meth:`renew` updates it in place.

    Raises:
        LoginError: There are no credentials, or they cannot be read.
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
        """The path in the URL before the paths of the API, usually empty."""
        return urlsplit(self.server).path.rstrip("/")

    def authorization(self) -> str | None:
        """The value of the header Authorization; None with a client certificate."""
        try:
            # The official client reads the token file again after a minute, or calls the credential plugin.
            self._authorization = self.configuration.get_api_key_with_prefix("BearerToken")
        except (kubernetes.config.ConfigException, OSError) as error:
            logger.warning("The credentials cannot be renewed: %s", error)
        return self._authorization

    def renew(self, refused: str | None) -> bool:
        """Read the credentials from their files again.

        Args:
            refused: The header that the API server rejected.

        Returns:
            Whether the header differs now.
        """
        try:
            self._load()
        except LoginError as error:
            logger.warning("The credentials cannot be renewed: %s", error)
        return self.authorization() != refused

    def ssl_context(self) -> ssl.SSLContext:
        """The certificate authority of the API server and the client certificate, if there is one."""
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
