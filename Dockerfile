# The images of the operator and of the trainer: docker build --target operator . ; docker build --target trainer-cpu .
# Both run as a user without rights on a read-only root file system; only /tmp must be writable.

FROM debian:trixie-slim AS python
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*


# pip and the build backend stay here: the virtual environment that they fill has neither.
FROM python AS builder
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/builder \
    && python3 -m venv --without-pip /opt/venv
COPY requirements/build.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/builder/bin/pip install --require-hashes --requirement /requirements/build.txt


FROM builder AS operator-requirements
COPY requirements/operator.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/builder/bin/pip --python /opt/venv/bin/python install --require-hashes --requirement /requirements/operator.txt


# The package itself goes into a layer of its own, small enough to change often.
FROM operator-requirements AS operator-package
COPY operator /source
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /source \
    && /opt/builder/bin/pip --python /opt/venv/bin/python install --no-deps --root /installed /wheels/*.whl


FROM builder AS trainer-cpu-requirements
COPY requirements/trainer-cpu.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/builder/bin/pip --python /opt/venv/bin/python install --require-hashes --requirement /requirements/trainer-cpu.txt
# A fifth of it, which nothing reads here: headers to compile against, and the libraries' own tests.
RUN find /opt/venv -depth -type d \( -name tests -o -path '*/tensorflow/include' \) -exec rm -rf {} +


FROM trainer-cpu-requirements AS trainer-cpu-package
COPY trainer /source
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /source \
    && /opt/builder/bin/pip --python /opt/venv/bin/python install --no-deps --root /installed /wheels/*.whl


FROM python AS runtime
# Libraries that keep caches of their own find them where one can write.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 65532:65532


FROM runtime AS operator
COPY --from=operator-requirements /opt/venv /opt/venv
COPY --from=operator-package /installed /
ENTRYPOINT ["trainingjob-operator"]


FROM runtime AS trainer-cpu
COPY --from=trainer-cpu-requirements /opt/venv /opt/venv
COPY --from=trainer-cpu-package /installed /
ENTRYPOINT ["trainingjob-trainer"]
