"""Numbers, names and types of the fields that kubectl's typed clients send as protobuf.

Facts of Kubernetes' published messages, for the kinds that `kubectl create` and `kubectl auth`
write so; what is not listed here has to be sent as JSON, and the refusal says that.
"""

import functools
from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One field; `shape` is empty, list, map or inline (its fields are its parent's in JSON)."""

    name: str
    shape: str
    type: str


@functools.cache
def messages() -> dict[str, dict[int, Field]]:
    """Fields by message and number."""
    found: dict[str, dict[int, Field]] = {}
    for line in _TABLE.replace("\n  ", " ").strip().splitlines():
        message, _, fields = line.partition(":")
        found[message] = dict(_field(text) for text in fields.split(",") if text.strip())
    return found


def _field(text: str) -> tuple[int, Field]:
    number, name, *shape, kind = text.split()
    return int(number), Field(name, "".join(shape), kind)


# A line a message, continued by indented lines.
_TABLE = """
ConfigMap: 1 metadata ObjectMeta, 2 data map str, 3 binaryData map bytes, 4 immutable bool
ObjectMeta: 1 name str, 2 generateName str, 3 namespace str, 4 selfLink str, 5 uid str, 6
  resourceVersion str, 7 generation int, 8 creationTimestamp Time, 9 deletionTimestamp Time, 10
  deletionGracePeriodSeconds int, 11 labels map str, 12 annotations map str, 13 ownerReferences
  list OwnerReference, 14 finalizers list str, 17 managedFields list ManagedFieldsEntry
OwnerReference: 1 kind str, 3 name str, 4 uid str, 5 apiVersion str, 6 controller bool, 7
  blockOwnerDeletion bool
ManagedFieldsEntry: 1 manager str, 2 operation str, 3 apiVersion str, 4 time Time, 6 fieldsType
  str, 8 subresource str
Secret: 1 metadata ObjectMeta, 2 data map bytes, 3 type str, 4 stringData map str, 5 immutable
  bool
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status NamespaceStatus
NamespaceSpec: 1 finalizers list str
NamespaceStatus: 1 phase str
ServiceAccount: 1 metadata ObjectMeta, 2 secrets list ObjectReference, 3 imagePullSecrets list
  LocalObjectReference, 4 automountServiceAccountToken bool
ObjectReference: 1 kind str, 2 namespace str, 3 name str, 4 uid str, 5 apiVersion str, 6
  resourceVersion str, 7 fieldPath str
LocalObjectReference: 1 name str
Service: 1 metadata ObjectMeta, 2 spec ServiceSpec, 3 status ServiceStatus
ServiceSpec: 1 ports list ServicePort, 2 selector map str, 3 clusterIP str, 4 type str, 5
  externalIPs list str, 7 sessionAffinity str, 8 loadBalancerIP str, 9 loadBalancerSourceRanges
  list str, 10 externalName str, 11 externalTrafficPolicy str, 12 healthCheckNodePort int, 13
  publishNotReadyAddresses bool, 14 sessionAffinityConfig SessionAffinityConfig, 17
  ipFamilyPolicy str, 18 clusterIPs list str, 19 ipFamilies list str, 20
  allocateLoadBalancerNodePorts bool, 21 loadBalancerClass str, 22 internalTrafficPolicy str, 23
  trafficDistribution str
ServicePort: 1 name str, 2 protocol str, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6
  appProtocol str
SessionAffinityConfig: 1 clientIP ClientIPConfig
ClientIPConfig: 1 timeoutSeconds int
ServiceStatus: 1 loadBalancer LoadBalancerStatus
LoadBalancerStatus: 1 ingress list LoadBalancerIngress
LoadBalancerIngress: 1 ip str, 2 hostname str
Pod: 1 metadata ObjectMeta, 2 spec PodSpec, 3 status PodStatus
PodSpec: 1 volumes list Volume, 2 containers list Container, 3 restartPolicy str, 4
  terminationGracePeriodSeconds int, 5 activeDeadlineSeconds int, 6 dnsPolicy str, 7
  nodeSelector map str, 8 serviceAccountName str, 9 serviceAccount str, 10 nodeName str, 11
  hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 14 securityContext PodSecurityContext, 15
  imagePullSecrets list LocalObjectReference, 16 hostname str, 17 subdomain str, 18 affinity
  Affinity, 19 schedulerName str, 20 initContainers list Container, 21
  automountServiceAccountToken bool, 22 tolerations list Toleration, 23 hostAliases list
  HostAlias, 24 priorityClassName str, 25 priority int, 26 dnsConfig PodDNSConfig, 27
  shareProcessNamespace bool, 28 readinessGates list PodReadinessGate, 29 runtimeClassName str,
  30 enableServiceLinks bool
Volume: 1 name str, 2 volumeSource inline VolumeSource
VolumeSource: 1 hostPath HostPathVolumeSource, 2 emptyDir EmptyDirVolumeSource, 6 secret
  SecretVolumeSource, 10 persistentVolumeClaim PersistentVolumeClaimVolumeSource, 16 downwardAPI
  DownwardAPIVolumeSource, 19 configMap ConfigMapVolumeSource, 26 projected
  ProjectedVolumeSource
HostPathVolumeSource: 1 path str, 2 type str
EmptyDirVolumeSource: 1 medium str, 2 sizeLimit Quantity
SecretVolumeSource: 1 secretName str, 2 items list KeyToPath, 3 defaultMode int, 4 optional bool
KeyToPath: 1 key str, 2 path str, 3 mode int
PersistentVolumeClaimVolumeSource: 1 claimName str, 2 readOnly bool
DownwardAPIVolumeSource: 1 items list DownwardAPIVolumeFile, 2 defaultMode int
DownwardAPIVolumeFile: 1 path str, 2 fieldRef ObjectFieldSelector, 3 resourceFieldRef
  ResourceFieldSelector, 4 mode int
ObjectFieldSelector: 1 apiVersion str, 2 fieldPath str
ResourceFieldSelector: 1 containerName str, 2 resource str, 3 divisor Quantity
ConfigMapVolumeSource: 1 localObjectReference inline LocalObjectReference, 2 items list
  KeyToPath, 3 defaultMode int, 4 optional bool
ProjectedVolumeSource: 1 sources list VolumeProjection, 2 defaultMode int
VolumeProjection: 1 secret SecretProjection, 2 downwardAPI DownwardAPIProjection, 3 configMap
  ConfigMapProjection, 4 serviceAccountToken ServiceAccountTokenProjection
SecretProjection: 1 localObjectReference inline LocalObjectReference, 2 items list KeyToPath, 4
  optional bool
DownwardAPIProjection: 1 items list DownwardAPIVolumeFile
ConfigMapProjection: 1 localObjectReference inline LocalObjectReference, 2 items list KeyToPath,
  4 optional bool
ServiceAccountTokenProjection: 1 audience str, 2 expirationSeconds int, 3 path str
Container: 1 name str, 2 image str, 3 command list str, 4 args list str, 5 workingDir str, 6
  ports list ContainerPort, 7 env list EnvVar, 8 resources ResourceRequirements, 9 volumeMounts
  list VolumeMount, 10 livenessProbe Probe, 11 readinessProbe Probe, 12 lifecycle Lifecycle, 13
  terminationMessagePath str, 14 imagePullPolicy str, 15 securityContext SecurityContext, 16
  stdin bool, 17 stdinOnce bool, 18 tty bool, 19 envFrom list EnvFromSource, 20
  terminationMessagePolicy str, 21 volumeDevices list VolumeDevice, 22 startupProbe Probe, 24
  restartPolicy str
ContainerPort: 1 name str, 2 hostPort int, 3 containerPort int, 4 protocol str, 5 hostIP str
EnvVar: 1 name str, 2 value str, 3 valueFrom EnvVarSource
EnvVarSource: 1 fieldRef ObjectFieldSelector, 2 resourceFieldRef ResourceFieldSelector, 3
  configMapKeyRef ConfigMapKeySelector, 4 secretKeyRef SecretKeySelector
ConfigMapKeySelector: 1 localObjectReference inline LocalObjectReference, 2 key str, 3 optional
  bool
SecretKeySelector: 1 localObjectReference inline LocalObjectReference, 2 key str, 3 optional
  bool
ResourceRequirements: 1 limits map Quantity, 2 requests map Quantity
VolumeMount: 1 name str, 2 readOnly bool, 3 mountPath str, 4 subPath str, 5 mountPropagation
  str, 6 subPathExpr str, 7 recursiveReadOnly str
Probe: 1 handler inline Handler, 2 initialDelaySeconds int, 3 timeoutSeconds int, 4
  periodSeconds int, 5 successThreshold int, 6 failureThreshold int, 7
  terminationGracePeriodSeconds int
Handler: 1 exec ExecAction, 2 httpGet HTTPGetAction, 3 tcpSocket TCPSocketAction, 4 grpc
  GRPCAction
ExecAction: 1 command list str
HTTPGetAction: 1 path str, 2 port IntOrString, 3 host str, 4 scheme str, 5 httpHeaders list
  HTTPHeader
HTTPHeader: 1 name str, 2 value str
TCPSocketAction: 1 port IntOrString, 2 host str
GRPCAction: 1 port int, 2 service str
Lifecycle: 1 postStart Handler, 2 preStop Handler
SecurityContext: 1 capabilities Capabilities, 2 privileged bool, 3 seLinuxOptions
  SELinuxOptions, 4 runAsUser int, 5 runAsNonRoot bool, 6 readOnlyRootFilesystem bool, 7
  allowPrivilegeEscalation bool, 8 runAsGroup int, 9 procMount str
Capabilities: 1 add list str, 2 drop list str
SELinuxOptions: 1 user str, 2 role str, 3 type str, 4 level str
EnvFromSource: 1 prefix str, 2 configMapRef ConfigMapEnvSource, 3 secretRef SecretEnvSource
ConfigMapEnvSource: 1 localObjectReference inline LocalObjectReference, 2 optional bool
SecretEnvSource: 1 localObjectReference inline LocalObjectReference, 2 optional bool
VolumeDevice: 1 name str, 2 devicePath str
PodSecurityContext: 1 seLinuxOptions SELinuxOptions, 2 runAsUser int, 3 runAsNonRoot bool, 4
  supplementalGroups list int, 5 fsGroup int, 6 runAsGroup int, 7 sysctls list Sysctl
Sysctl: 1 name str, 2 value str
Affinity: 1 nodeAffinity NodeAffinity, 2 podAffinity PodAffinity, 3 podAntiAffinity
  PodAntiAffinity
NodeAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector, 2
  preferredDuringSchedulingIgnoredDuringExecution list PreferredSchedulingTerm
NodeSelector: 1 nodeSelectorTerms list NodeSelectorTerm
NodeSelectorTerm: 1 matchExpressions list NodeSelectorRequirement, 2 matchFields list
  NodeSelectorRequirement
NodeSelectorRequirement: 1 key str, 2 operator str, 3 values list str
PreferredSchedulingTerm: 1 weight int, 2 preference NodeSelectorTerm
PodAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution list PodAffinityTerm, 2
  preferredDuringSchedulingIgnoredDuringExecution list WeightedPodAffinityTerm
PodAffinityTerm: 1 labelSelector LabelSelector, 2 namespaces list str, 3 topologyKey str
LabelSelector: 1 matchLabels map str, 2 matchExpressions list LabelSelectorRequirement
LabelSelectorRequirement: 1 key str, 2 operator str, 3 values list str
WeightedPodAffinityTerm: 1 weight int, 2 podAffinityTerm PodAffinityTerm
PodAntiAffinity: 1 requiredDuringSchedulingIgnoredDuringExecution list PodAffinityTerm, 2
  preferredDuringSchedulingIgnoredDuringExecution list WeightedPodAffinityTerm
Toleration: 1 key str, 2 operator str, 3 value str, 4 effect str, 5 tolerationSeconds int
HostAlias: 1 ip str, 2 hostnames list str
PodDNSConfig: 1 nameservers list str, 2 searches list str, 3 options list PodDNSConfigOption
PodDNSConfigOption: 1 name str, 2 value str
PodReadinessGate: 1 conditionType str
PodStatus: 1 phase str, 3 message str, 4 reason str, 5 hostIP str, 6 podIP str, 7 startTime
  Time, 9 qosClass str, 11 nominatedNodeName str
Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status DeploymentStatus
DeploymentSpec: 1 replicas int, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy
  DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int, 7 paused bool, 9
  progressDeadlineSeconds int
PodTemplateSpec: 1 metadata ObjectMeta, 2 spec PodSpec
DeploymentStrategy: 1 type str, 2 rollingUpdate RollingUpdateDeployment
RollingUpdateDeployment: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
DeploymentStatus: 1 observedGeneration int, 2 replicas int, 3 updatedReplicas int, 4
  availableReplicas int, 5 unavailableReplicas int, 7 readyReplicas int, 8 collisionCount int
Binding: 1 metadata ObjectMeta, 2 target ObjectReference
Eviction: 1 metadata ObjectMeta, 2 deleteOptions DeleteOptions
DeleteOptions: 1 gracePeriodSeconds int, 2 preconditions Preconditions, 3 orphanDependents bool,
  4 propagationPolicy str, 5 dryRun list str
Preconditions: 1 uid str, 2 resourceVersion str
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec, 3 status
  SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes
  NonResourceAttributes
ResourceAttributes: 1 namespace str, 2 verb str, 3 group str, 4 version str, 5 resource str, 6
  subresource str, 7 name str
NonResourceAttributes: 1 path str, 2 verb str
SubjectAccessReviewStatus: 1 allowed bool, 2 reason str, 3 evaluationError str, 4 denied bool
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec, 3 status
  SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec: 1 namespace str
SubjectRulesReviewStatus: 3 incomplete bool, 4 evaluationError str
SelfSubjectReview: 1 metadata ObjectMeta, 2 status SelfSubjectReviewStatus
SelfSubjectReviewStatus: 1 userInfo UserInfo
UserInfo: 1 username str, 2 uid str, 3 groups list str
"""
