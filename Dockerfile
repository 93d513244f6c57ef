# One image for every process of Bedside: `docker run … server`, `media`, `jobs`, or `serve` for all three in one.
# Runs as uid 65532 on a read-only root; only BEDSIDE_VAR and /tmp are written to.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
# Everything is fetched once and checked against its hash; the image below installs from here, without an index.
RUN python -m venv /tools \
 && /tools/bin/pip download --quiet --require-hashes -r requirements.lock -d /wheels \
 && /tools/bin/pip install --quiet --no-index --find-links /wheels --require-hashes -r requirements.lock
COPY web/package.json web/package-lock.json web/.npmrc web/
RUN cd web && PATH="/tools/bin:$PATH" npm ci --silent
COPY . .
RUN cd web && PATH="/tools/bin:$PATH" npm run --silent build
RUN /tools/bin/python -m build --quiet --no-isolation --outdir /dist \
 && python -m venv /opt/bedside \
 && /opt/bedside/bin/pip install --quiet --no-index --find-links /wheels /dist/*.whl

FROM python:3.11-slim-bookworm
# Letters for the names in films: every script that a patient's name may be in.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends fonts-dejavu-core fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/bedside /opt/bedside
RUN mkdir -m 0700 /var/lib/bedside && chown 65532:65532 /var/lib/bedside
ENV PATH=/opt/bedside/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BEDSIDE_VAR=/var/lib/bedside \
    BEDSIDE_HOST=0.0.0.0 \
    BEDSIDE_JOBS_HOST=0.0.0.0 \
    HEALTH_URL=http://127.0.0.1:8700/readyz
VOLUME /var/lib/bedside
WORKDIR /var/lib/bedside
USER 65532:65532
# server and serve: 8700; media: control 8701, media 8702 (UDP and TCP); jobs: 8703.
EXPOSE 8700 8701 8702/udp 8702/tcp 8703
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=3)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["bedside"]
CMD ["serve"]
