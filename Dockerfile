# syntax=docker/dockerfile:1
# One image with every binary; the command decides which one runs.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --workspace \
    && mkdir /out \
    && cp target/release/im target/release/im-route target/release/im-server target/release/im-standalone target/release/im-admin /out/

# etcd as Debian ships it, which is the one that the tests run against.
FROM debian:bookworm-slim AS etcd
RUN apt-get update \
    && apt-get install -y --no-install-recommends etcd-server etcd-client \
    && rm -rf /var/lib/apt/lists/*
ENV ETCDCTL_API=3
CMD ["etcd"]

FROM debian:bookworm-slim AS node
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/im im
COPY --from=build /out/ /usr/local/bin/
USER im
WORKDIR /var/lib/im
CMD ["im-standalone", "--headless", "--data-dir", "/var/lib/im", "--route-listen", "0.0.0.0:8083", "--server-listen", "0.0.0.0:8084"]
