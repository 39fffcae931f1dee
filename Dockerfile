# syntax=docker/dockerfile:1
# One image for every process: web, runner, worker, beat. Built without the embedded PostgreSQL's data.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/parlor
COPY requirements.txt .
RUN /opt/parlor/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/parlor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    HOST=0.0.0.0 PORT=8000 \
    PARLOR_DATA_DIR=/data PARLOR_MEDIA_DIR=/data/media
RUN useradd --system --uid 10001 --create-home parlor && install -d -o parlor /data /data/media /data/private
COPY --from=build /opt/parlor /opt/parlor
WORKDIR /app
COPY --chown=parlor . .
# Collecting needs settings, not secrets and no database.
RUN PARLOR_SECRET_KEY=build-only DATABASE_URL=postgresql://nobody@localhost/nothing \
    python manage.py collectstatic --noinput && python -m compileall -q .
USER parlor
EXPOSE 8000
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["python", "-m", "config.serve"]
