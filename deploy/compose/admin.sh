#!/bin/sh
# Invites three nodes, runs /weft/deploy/compose/run.yaml to its end and leaves the adapter in /out.
set -eu
for node in node-a node-b node-c; do
  # a token is a secret: its file belongs to this user alone, and arrives whole
  (umask 077 && weft invite create --home /state --auto-approve >"/invites/$node.part")
  mv "/invites/$node.part" "/invites/$node"
done
run=$(weft run create --home /state /weft/deploy/compose/run.yaml --model /weft/models/weft-tiny-llama)
weft run start --home /state "$run"
weft run watch --home /state "$run"
weft run export --home /state "$run" --out /out/adapter
