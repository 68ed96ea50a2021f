#!/bin/sh
# Joins with this node's invite at the first start, takes sample text where there is none, and then trains.
set -eu
if [ -z "$(ls -A /data)" ]; then
  node /weft/deploy/compose/sample-data.ts /data "$WEFT_SAMPLE_LANGUAGE"
fi
if [ -z "$(ls -A /state)" ]; then
  until [ -s "/invites/$WEFT_NODE_NAME" ]; do sleep 1; done
  weft node join --home /state --name "$WEFT_NODE_NAME" "@/invites/$WEFT_NODE_NAME"
fi
# three are few, and this node says that they are enough
[ -e /state/policy.yaml ] || weft node policy init --home /state --yes --smallest-cohort 3
exec weft node start --home /state --data /data --threads "${WEFT_THREADS:-1}"
