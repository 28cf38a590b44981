#!/usr/bin/env bash
# Render the plain manifests in deploy/kubernetes from the chart, with the values beside them. Called by hand when the
# chart changed; a test notices when nobody did. Needs helm 3.16 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."

chart=deploy/chart/make-bridge
values=deploy/kubernetes/values.yaml
apart=deploy/kubernetes/apart.values.yaml
command -v helm >/dev/null || { echo "✗ helm is missing: install it and repeat" >&2; exit 1; }
digest=$(find "$chart" "$values" "$apart" -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)

render() { # render FILE <arguments of helm template…>
    local file=$1
    shift
    {
        echo "# Rendered from the chart by tools/manifests.sh: change the chart, not this file."
        echo "# chart: $digest"
        helm template make-bridge "$chart" --namespace make-bridge --values "$values" "$@"
    } >"$file.new"
    mv "$file.new" "$file"
}

render deploy/kubernetes/make-bridge.yaml
render deploy/kubernetes/services-apart.yaml --values "$apart"
# In place of the HorizontalPodAutoscaler, where there is KEDA.
render deploy/kubernetes/keda.yaml --set autoscaling.queueAge.by=keda --show-only templates/scaledobject.yaml
