#!/bin/sh
# Makes the namespace that Towpath works in, if it isn't there. The worker adds its search attributes itself.
set -eu
until temporal operator cluster health >/dev/null 2>&1; do
  echo "waiting for $TEMPORAL_ADDRESS"
  sleep 2
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 90d
