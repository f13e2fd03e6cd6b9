# The images of the operator and of the trainer: docker build --target operator . (or trainer-cpu, or trainer-gpu)
# All run as an unprivileged user, and work on a read-only root file system. Only /tmp must be writable.

FROM debian:trixie-slim AS python
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*


# pip and the build backend are installed in this stage only, so that the final images do not contain them.
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


FROM builder AS operator-package
COPY api /source/api
COPY operator /source/operator
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /source/api /source/operator \
    && /opt/builder/bin/pip --python /opt/venv/bin/python install --no-deps --root /installed /wheels/*.whl


FROM builder AS trainer-package
COPY api /source/api
COPY trainer /source/trainer
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /source/api /source/trainer \
    && /opt/builder/bin/pip --python /opt/venv/bin/python install --no-deps --root /installed /wheels/*.whl


FROM python AS runtime
# HOME=/tmp: some libraries write caches to the home folder.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1
COPY --from=builder /opt/venv /opt/venv
WORKDIR /tmp


# Dependencies and the project's packages are separate layers: a change of the code changes the small layer only.
FROM runtime AS operator
COPY requirements/install.sh requirements/operator.txt /opt/venv/
RUN --mount=type=bind,from=builder,source=/opt/builder,target=/opt/builder \
    --mount=type=cache,target=/root/.cache/pip \
    sh /opt/venv/install.sh /opt/venv/operator.txt
COPY --from=operator-package /installed /
USER 65532:65532
ENTRYPOINT ["trainingjob-operator"]


FROM runtime AS trainer-cpu
COPY requirements/install.sh requirements/trainer-cpu.txt /opt/venv/
RUN --mount=type=bind,from=builder,source=/opt/builder,target=/opt/builder \
    --mount=type=cache,target=/root/.cache/pip \
    sh /opt/venv/install.sh /opt/venv/trainer-cpu.txt
COPY --from=trainer-package /installed /
USER 65532:65532
ENTRYPOINT ["trainingjob-trainer"]


# For nodes with an NVIDIA driver. The container runtime mounts the driver; CUDA and cuDNN are in the image.
FROM runtime AS trainer-gpu
COPY requirements/install.sh requirements/trainer-gpu.txt /opt/venv/
RUN --mount=type=bind,from=builder,source=/opt/builder,target=/opt/builder \
    --mount=type=cache,target=/root/.cache/pip \
    sh /opt/venv/install.sh /opt/venv/trainer-gpu.txt
COPY --from=trainer-package /installed /
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 65532:65532
ENTRYPOINT ["trainingjob-trainer"]
