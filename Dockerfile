# The operator's image: one static binary and its licence, nothing else.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" --tag sluice .
#
# make image makes the same image offline, with hack/image, which reads the last stage of this file.
ARG VERSION=dev
ARG REVISION=

# A full version and no digest: the tag of a release of Go is not moved to another one, and of the Debian below it
# nothing gets into a static binary. The compiler runs on the machine's own architecture, whatever it builds for.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION"

FROM scratch
COPY LICENSE /
COPY --from=build /src/bin/manager /
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/manager"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A signed webhook starts a flow in Kubernetes" \
      org.opencontainers.image.vendor="The Sluice Authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/sluice-dev/sluice" \
      org.opencontainers.image.documentation="https://github.com/sluice-dev/sluice/tree/main/docs" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
