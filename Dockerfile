# wbc in a container, for CPU and CUDA: docs/guides/containers.md
#   docker build -t wbc .
# Docker's BuildKit, Podman and Buildah read it alike.
FROM python:3.11-slim AS build

# torch as the default index has it: with CUDA on Linux for x86-64.  An index of builds for CPUs makes it small.
ARG TORCH_INDEX=""
ARG EXTRAS="demo,fast,export,review"

RUN python -m venv /opt/wbc
WORKDIR /src

# The largest part first: its layer stays when only the code has changed.  A pip.conf of your own goes in as a
# secret, so that no address or password of it is left in a layer.
COPY constraints.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,mode=0444 \
    /opt/wbc/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
    ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} -c constraints.txt torch torchvision

COPY pyproject.toml setup.py README.md LICENSE ./
COPY hydra_plugins ./hydra_plugins
COPY conf ./conf
COPY wbc ./wbc
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,mode=0444 \
    /opt/wbc/bin/python -m pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim

COPY --from=build /opt/wbc /opt/wbc

# Whoever runs it may be another user, with --user: the home folder, where caches lie, is open to all.
RUN useradd --uid 1000 --create-home wbc \
    && chmod 1777 /home/wbc \
    && install --directory --owner wbc --group wbc /project
# What NVIDIA's container toolkit asks for; of no effect without it.
ENV PATH="/opt/wbc/bin:${PATH}" \
    HOME=/home/wbc \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# By number: Kubernetes asks for one to know that it is not root.
USER 1000
# data/ and outputs/ lie in the folder where a command runs.  One volume for both: a volume at outputs/ would hide
# the outputs/ of a folder that is mounted here.
WORKDIR /project
VOLUME ["/project"]

# wbc review, wbc serve
EXPOSE 8765 8766

ENTRYPOINT ["wbc"]
CMD ["--help"]
