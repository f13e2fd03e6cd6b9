#!/bin/sh
# Installs a requirements file, which lists every dependency that is wanted, into /opt/venv of an image.
# Headers, static libraries and the tests of libraries are a tenth of the size, and the programs do not use them.
set -eu
/opt/builder/bin/pip --python /opt/venv/bin/python --cache-dir /root/.cache/pip \
    install --require-hashes --no-deps --requirement "$1"
find /opt/venv/lib -depth \
    \( -type d \( -name tests -o -name include \) -exec rm -rf {} + \) -o \( -name '*.a' -exec rm {} + \)
