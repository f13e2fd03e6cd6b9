"""The distribution of tests over the processes of pytest-xdist."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# There can be only one node on a machine, and a control plane takes long to start.
_SHARED_SERVERS = {
    "tests/e2e/": "node",
    "tests/integration/argocd/": "Argo CD",
    "tests/integration/kueue/": "Kueue",
    "tests/integration/operator/": "control plane",
    "tests/manifests/": "control plane",
}


class Distribution(LoadScopeScheduling):
    """Runs the tests of one file, or of all folders that share servers, in the same process."""

    def _split_scope(self, nodeid: str) -> str:
        shared = (servers for folder, servers in _SHARED_SERVERS.items() if nodeid.startswith(folder))
        return next(shared, nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Distribution:
    """Starts with the tests on the node, which take longest and come first."""
    config.option.loadscopereorder = False
    return Distribution(config, log)
