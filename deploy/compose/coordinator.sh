#!/bin/sh
# Makes the coordinator's home at the first start, and then serves.
set -eu
[ -n "$(ls -A /state)" ] || weft coordinator init --home /state
exec weft coordinator start --home /state \
  --grpc-host 0.0.0.0 --grpc-port 7443 --advertise coordinator:7443 \
  --http-host 0.0.0.0 --http-port 8080
