# The worker, and the command line. Built from exactly what constraints-runtime.txt names.
FROM python:3.13.9-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/towpath
WORKDIR /src
COPY constraints-runtime.txt ./
RUN /opt/towpath/bin/pip install --require-hashes --requirement constraints-runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY credentials credentials
COPY expressions expressions
COPY workflows workflows
COPY activities activities
COPY worker worker
COPY starter starter
COPY web web
RUN python -m venv /opt/builder \
 && /opt/builder/bin/pip install "hatchling>=1.27,<2" \
 && /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/towpath/bin/pip install --no-deps /wheels/towpath-*.whl

FROM python:3.13.9-slim-trixie
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/towpath --create-home --shell /usr/sbin/nologin towpath
COPY --from=build /opt/towpath /opt/towpath
ENV PATH=/opt/towpath/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TOWPATH_DATA_DIRECTORY=/var/lib/towpath
USER towpath
WORKDIR /var/lib/towpath
VOLUME /var/lib/towpath
CMD ["towpath", "worker"]
