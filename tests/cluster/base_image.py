"""The image that the Dockerfile starts from, made by debootstrap where no registry has it.

The settings of this machine (mirror, proxy, certificates, pip) are part of this image, so
that the Dockerfile is the one that others build with Docker.
"""

import ast
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cluster.programs import run_program

_CERTIFICATES = "etc/machine-certificates.pem"
_PIP_SETTINGS = ("default-timeout", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
# The published slim images have no documentation and no caches of apt either.
_SLIM = {
    "etc/dpkg/dpkg.cfg.d/slim": "".join(
        f"path-exclude=/usr/share/{folder}/*\n" for folder in ("doc", "info", "locale", "man")
    ),
    "etc/apt/apt.conf.d/slim": 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n',
}
_UNNEEDED = ("usr/share/doc/*", "usr/share/locale/*", "usr/share/man/*", "var/cache/apt/*", "var/lib/apt/lists/*")


def machine_settings() -> dict[str, str]:
    """What this machine needs to reach its package registries: contents of files by their path in the image."""
    settings = {"etc/apt/apt.conf.d/90machine": _apt_proxies(), "etc/pip.conf": _pip_configuration()}
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if certificates:
        settings[_CERTIFICATES] = Path(certificates).read_text()
        settings["etc/pip.conf"] += f"cert = /{_CERTIFICATES}\n"
    return settings


def mirror() -> str | None:
    """The Debian mirror that this machine uses; None where apt knows none, and debootstrap's own default must do."""
    release = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    form = "$(CODENAME) $(ORIGIN) $(REPO_URI)"
    targets = run_program(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    mirrors = [
        line.split()[-1] for line in targets.splitlines() if release and line.startswith(f"{release[1]} Debian ")
    ]
    return mirrors[0] if mirrors else None


def bootstrap(root: Path, suite: str, settings: Mapping[str, str]) -> None:
    """Fills a folder with a minimal Debian.

    Args:
        root: an existing, empty folder.
        suite: the Debian release.
        settings: from `machine_settings`.
    """
    source = mirror()
    run_program(["debootstrap", "--variant=minbase", suite, root, *([source] if source else [])])
    for path, content in {**settings, **_SLIM}.items():
        (root / path).write_text(content)
    for pattern in _UNNEEDED:
        for unneeded in root.glob(pattern):
            if unneeded.is_dir():
                shutil.rmtree(unneeded)
            else:
                unneeded.unlink()


def _apt_proxies() -> str:
    settings = run_program(["apt-config", "dump", "Acquire"]).splitlines()
    return "\n".join(line for line in settings if "proxy" in line.lower() and not line.endswith('"";'))


def _pip_configuration() -> str:
    lines = ["[global]"]
    for line in run_program([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        option = name.split(".", 1)[-1]
        if option in _PIP_SETTINGS:
            lines.append(f"{option} = {ast.literal_eval(value)}")
    return "\n".join(lines) + "\n"
