# syntax=docker/dockerfile:1
# The OpenTelemetry Collector of the components that monitoring/otel configures, and no others. Built from the repository's root:
#   docker build -f infra/docker/otelcol.Dockerfile -t treble-otelcol .
# Its configuration is not in it: the chart and docker-compose.traces.yml bring monitoring/otel/collector.yaml. It writes nothing outside
# OTELCOL_STORAGE, so it runs with a read-only root; and as a user without privileges.

FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY infra/lib.sh /src/infra/
COPY infra/setup/lib.sh infra/setup/otelcol infra/setup/otelcol.txt /src/infra/setup/
COPY monitoring/otel/builder /src/monitoring/otel/builder
RUN /src/infra/setup/otelcol && install -D /src/.treble/otelcol/otelcol /out/otelcol

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 treble && useradd --system --uid 10001 --gid treble --no-create-home treble \
    && install -d -o treble -g treble /var/lib/otelcol
COPY --from=build /out/otelcol /usr/local/bin/otelcol
USER 10001:10001
WORKDIR /tmp
EXPOSE 4317 8888 13133
ENTRYPOINT ["otelcol"]
