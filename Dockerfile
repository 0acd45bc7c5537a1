# The operator's image. BASE is any image with Python 3.11 or newer and its venv module, glibc (not musl):
#   docker build -t statefulrollout:dev .
#   docker build -t statefulrollout:dev --build-arg BASE=some/debian-with-python3-venv .
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# A virtual environment has `python` whatever the base calls its own, and moves to the second stage as it is.
RUN python3 -m venv /venv
WORKDIR /src
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY operator ./operator
# What installs has no business in the result.
RUN /venv/bin/pip install --no-cache-dir --no-deps . && /venv/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
COPY --from=build /venv /venv
# The root file system is read-only in the cluster: nothing may be compiled on the way.
ENV PATH=/venv/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /
ENTRYPOINT ["python", "-m", "statefulrollout"]
