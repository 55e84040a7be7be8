# One small image of this project, for every service of docker-compose.yml that is ours.
#
#   docker build -t darkroom:local .
#
# BASE is any image with Python 3.11 or newer and its venv module. Behind a proxy with a certificate of its own:
#   docker build --secret id=ca,src=/path/to/ca-bundle.crt -t darkroom:local .
# The secret is there while packages are installed, and in no layer.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
RUN python3 -m venv /build/pip && python3 -m venv --without-pip /opt/darkroom
COPY requirements/darkroom.txt requirements/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    /build/pip/bin/pip --python /opt/darkroom install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: -r requirements/darkroom.txt
# The functions' libraries go into the package that the service `deploy` makes: there it needs no network. Made by the
# code that looks for them later, which is copied alone so that they stay when other code changes.
COPY lambda/requirements.txt /project/
COPY darkroom/errors.py /early/darkroom/
COPY darkroom/stack/package.py darkroom/stack/libraries.py /early/darkroom/stack/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    PYTHONPATH=/early /build/pip/bin/python -m darkroom.stack.libraries \
        --requirements /project/requirements.txt --python 3.13 --into /opt/functions
COPY pyproject.toml README.md LICENSE /app/
COPY darkroom/__init__.py /app/darkroom/
# The package is used where it lies, as in a checkout: it finds its files beside itself.
RUN /build/pip/bin/pip --python /opt/darkroom install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-index --no-build-isolation -e /app
COPY darkroom /app/darkroom
RUN /opt/darkroom/bin/python -m compileall -q /app/darkroom

FROM ${BASE}
ENV PATH=/opt/darkroom/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/darkroom /opt/darkroom
COPY --from=build /opt/functions /opt/functions
COPY --from=build /app /app
WORKDIR /app
# A number, so that whoever starts it can see that it is not root; no account needs to exist.
USER 10001:10001
CMD ["darkroom", "--help"]
