"""The `_example` block of each Knative config map: which keys it takes, and their defaults.

Knative guards these blocks by a checksum: a setting belongs above them, not into them.
"""

_NOTE = """\
################################
#    EXAMPLE CONFIGURATION     #
################################
# Nothing in this block has an effect. To change a setting, copy its line to the top level of
# `data`, beside this key.
"""

_DOMAIN = """
# A key is a domain, its value a selector on the labels of Routes, or nothing. The most specific
# selector wins. `localhost` is shipped so that NAME.NAMESPACE.localhost works in curl and
# browsers; any other domain without a selector takes its place.
example.com: ""
example.org: |
  selector:
    app: nonprofit
"""

_NETWORK = """
# How host names are made: .Name .Namespace .Domain .Labels .Annotations (Go template).
domain-template: "{{.Name}}.{{.Namespace}}.{{.Domain}}"
# The first part of a tagged target's host: .Name .Tag
tag-template: "{{.Tag}}-{{.Name}}"
ingress-class: "istio.ingress.networking.knative.dev"
certificate-class: "cert-manager.certificate.networking.knative.dev"
auto-tls: "Disabled"
# Enabled or Redirected.
http-protocol: "Enabled"
# Seconds over which requests move to a new revision.
rollout-duration: "0"
autocreate-cluster-domain-claims: "false"
default-external-scheme: "http"
mesh-compatibility-mode: "auto"
"""

_AUTOSCALER = """
container-concurrency-target-percentage: "70"
container-concurrency-target-default: "100"
requests-per-second-target-default: "200"
target-burst-capacity: "211"
stable-window: "60s"
panic-window-percentage: "10.0"
panic-threshold-percentage: "200.0"
max-scale-up-rate: "1000.0"
max-scale-down-rate: "2.0"
enable-scale-to-zero: "true"
scale-to-zero-grace-period: "30s"
scale-to-zero-pod-retention-period: "0s"
pod-autoscaler-class: "kpa.autoscaling.knative.dev"
activator-capacity: "100.0"
initial-scale: "1"
allow-zero-initial-scale: "false"
min-scale: "0"
max-scale: "0"
scale-down-delay: "0s"
max-scale-limit: "0"
"""

_DEFAULTS = """
revision-timeout-seconds: "300"
max-revision-timeout-seconds: "600"
revision-cpu-request: "400m"
revision-memory-request: "100M"
revision-ephemeral-storage-request: "500M"
revision-cpu-limit: "1000m"
revision-memory-limit: "200M"
revision-ephemeral-storage-limit: "750M"
container-name-template: "user-container"
init-container-name-template: "init-container"
container-concurrency: "0"
container-concurrency-max-limit: "1000"
allow-container-concurrency-zero: "true"
enable-service-links: "false"
"""

_FEATURES = """
# Enabled, Allowed or Disabled.
multi-container: "enabled"
kubernetes.podspec-affinity: "disabled"
kubernetes.podspec-topologyspreadconstraints: "disabled"
kubernetes.podspec-hostaliases: "disabled"
kubernetes.podspec-nodeselector: "disabled"
kubernetes.podspec-tolerations: "disabled"
kubernetes.podspec-fieldref: "disabled"
kubernetes.podspec-runtimeclassname: "disabled"
kubernetes.podspec-dnspolicy: "disabled"
kubernetes.podspec-dnsconfig: "disabled"
kubernetes.podspec-securitycontext: "disabled"
kubernetes.podspec-priorityclassname: "disabled"
kubernetes.podspec-schedulername: "disabled"
kubernetes.podspec-dryrun: "allowed"
kubernetes.podspec-volumes-emptydir: "disabled"
kubernetes.podspec-init-containers: "disabled"
kubernetes.podspec-persistent-volume-claim: "disabled"
kubernetes.podspec-persistent-volume-write: "disabled"
kubernetes.containerspec-addcapabilities: "disabled"
tag-header-based-routing: "disabled"
autodetect-http2: "disabled"
"""

_DEPLOYMENT = """
registries-skipping-tag-resolving: "kind.local,ko.local,dev.local"
progress-deadline: "600s"
"""

_GC = """
# A duration or a number; "disabled" for no limit.
retain-since-create-time: "48h"
retain-since-last-active-time: "15h"
min-non-active-revisions: "20"
max-non-active-revisions: "1000"
"""

_ISTIO = """
# gateway.NAMESPACE.NAME: the gateway's Service
gateway.knative-serving.knative-ingress-gateway: "istio-ingressgateway.istio-system.svc.cluster.local"
local-gateway.knative-serving.knative-local-gateway: "knative-local-gateway.istio-system.svc.cluster.local"
"""  # noqa: E501  # a setting is one line

_LEADER_ELECTION = """
# One process of controllers runs, and has no other to hand over to.
lease-duration: "60s"
renew-deadline: "40s"
retry-period: "10s"
buckets: "1"
"""

_LOGGING = """
# Stored for tools that look for it: the control plane has one log, at one level.
zap-logger-config: |
  {
    "level": "info",
    "development": false,
    "outputPaths": ["stdout"],
    "errorOutputPaths": ["stderr"],
    "encoding": "json"
  }
# loglevel.COMPONENT: debug, info, warn, error, dpanic, panic or fatal.
loglevel.controller: "info"
loglevel.autoscaler: "info"
loglevel.queueproxy: "info"
loglevel.webhook: "info"
loglevel.activator: "info"
loglevel.hpaautoscaler: "info"
loglevel.net-istio-controller: "info"
"""

_OBSERVABILITY = """
# Stored for tools that look for it. None of these is served yet.
logging.enable-var-log-collection: "false"
logging.revision-url-template: "http://logging.example.com/?revisionUID=${REVISION_UID}"
logging.enable-request-log: "false"
logging.enable-probe-request-log: "false"
metrics.backend-destination: "prometheus"
metrics.request-metrics-backend-destination: "prometheus"
profiling.enable: "false"
"""

_TRACING = """
# Stored for tools that look for it: requests are not traced yet. Backends are none and zipkin.
backend: "none"
zipkin-endpoint: "http://zipkin.istio-system.svc.cluster.local:9411/api/v2/spans"
debug: "false"
# The share of requests, from 0 to 1.
sample-rate: "0.1"
"""

EXAMPLES = {
    "config-autoscaler": _NOTE + _AUTOSCALER,
    "config-defaults": _NOTE + _DEFAULTS,
    "config-deployment": _NOTE + _DEPLOYMENT,
    "config-domain": _NOTE + _DOMAIN,
    "config-features": _NOTE + _FEATURES,
    "config-gc": _NOTE + _GC,
    "config-istio": _NOTE + _ISTIO,
    "config-leader-election": _NOTE + _LEADER_ELECTION,
    "config-logging": _NOTE + _LOGGING,
    "config-network": _NOTE + _NETWORK,
    "config-observability": _NOTE + _OBSERVABILITY,
    "config-tracing": _NOTE + _TRACING,
}
