# The dependencies are installed by the lock, hashes checked, into a virtual environment that is all the final image takes.
FROM python:3.13-slim AS build
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=/opt/agent-api
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null
WORKDIR /src
COPY requirements-build.lock requirements.lock ./
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /uv && /uv/bin/pip install --quiet --require-hashes -r requirements-build.lock \
    && /uv/bin/uv venv --quiet $VIRTUAL_ENV \
    && /uv/bin/uv pip install --quiet --require-hashes -r requirements.lock
# Some wheels carry debugging symbols and sources; lupa carries every Lua there is, and the store in the process speaks 5.1.
RUN cd $VIRTUAL_ENV/lib/python3.13/site-packages \
    && find . -name '*.so*' -exec strip --strip-unneeded {} + \
    && find . -name '*.py[ix]' -delete -o -name '*.pxd' -delete -o -name '*.[ch]' -delete \
    && find lupa -name '*.so' ! -name 'lua51.*' -delete
COPY pyproject.toml README.md LICENSE ./
COPY app app
# The service is installed like any package, so that tools of one's own are found beside it by their entry points.
# What a start imports is compiled here, Python's own modules included, since a read-only image cannot keep what it
# compiles later: without this a start takes four times the CPU. So are the patterns of guards and redaction.
ENV PYTHONPYCACHEPREFIX=$VIRTUAL_ENV/compiled
RUN --mount=type=cache,target=/root/.cache \
    /uv/bin/uv pip install --quiet --no-deps . \
    && cd / && $VIRTUAL_ENV/bin/python -c 'import app.__main__, app.main, app.server, app.worker_process, app.durable.engines.saq_redis, app.durable.engines.saq_postgres, saq.queue.redis, saq.queue.postgres, app.models.providers.anthropic.model, app.state.in_process, anthropic, jwt.algorithms, opentelemetry.exporter.otlp.proto.grpc.trace_exporter, opentelemetry.exporter.otlp.proto.http.trace_exporter, opentelemetry.instrumentation.asgi, opentelemetry.sdk.trace.export, fakeredis, lupa.lua51' \
    && mkdir $VIRTUAL_ENV/lib/python3.13/site-packages/app/patterns/built \
    && $VIRTUAL_ENV/bin/python -c 'import app.patterns.database as kept; kept.own_folder = lambda make=False: kept.BUILT; from app.main import create_app; from app.redaction.build import compile_patterns; from app.settings import load; settings = load(None); compile_patterns(settings); create_app(settings)' \
    && chmod a+r $VIRTUAL_ENV/lib/python3.13/site-packages/app/patterns/built/*

FROM python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="agent-api" \
      org.opencontainers.image.description="Runs an LLM agent for many users" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV REVISION=$REVISION PATH=/opt/agent-api/bin:$PATH HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/agent-api/compiled
WORKDIR /home/agent
COPY --from=build /opt/agent-api /opt/agent-api
# Any numeric user works: nothing is written to the image's file system.
USER 10001:10001
EXPOSE 8000 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.error, urllib.request as r\nfor port in (os.environ.get('PORT', '8000'), os.environ.get('METRICS_PORT', '9090')):\n try: r.urlopen(f'http://127.0.0.1:{port}/live', timeout=1); break\n except urllib.error.URLError: pass # a worker has no API\nelse: raise SystemExit(1)"]
ENTRYPOINT ["python", "-m", "app"]
