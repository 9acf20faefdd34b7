"""Values of a user's own: every switch at once, and each way to expose and to scale."""

from typing import Any

import yaml

from tests.chart.conftest import KIND_VALUES

# Every switch at once.
EVERYTHING: dict[str, Any] = {
    "global": {"imageRegistry": "registry.example:5000", "imagePullSecrets": ["mirror", {"name": "registry"}]},
    "models": ["anthropic/some-model", "openai/some-model", "ollama/some-model", "demo"],
    "systemPrompt": "Be brief.",
    "imagePullSecrets": [{"name": "registry"}],
    "ollama": {
        "enabled": True,
        "gpu": {"enabled": True},
        "persistence": {"enabled": True, "accessMode": "ReadWriteMany", "storageClass": "shared"},
        "extraEnv": [{"name": "OLLAMA_NUM_PARALLEL", "value": "4"}, {"name": "HOME", "value": "/tmp"}],
    },
    "anthropic": {"existingSecret": "anthropic"},
    "openai": {"apiKey": "sk-trial", "baseUrl": "http://vllm.models:8000/v1"},
    "redis": {"existingSecret": "redis", "tls": {"existingSecret": "redis-ca"}},
    "auth": {
        "mode": "api-key,jwt",
        "apiKeys": {"existingSecret": "api-keys"},
        "jwt": {
            "issuer": "https://idp.example/",
            "audience": "agent-api",
            "algorithms": ["HS256"],
            "existingSecret": "jwt",
            "scopeClaim": "scp",
        },
    },
    "trustedProxies": ["10.0.0.0/8"],
    "limits": {
        "global": {"perMinute": 6000, "concurrent": 200},
        "tiers": {"default": {"user": {"perMinute": 60, "concurrent": 4}, "tools": {"*": {"perMinute": 30}}}},
    },
    "limitsFail": "closed",
    "budgets": {"userDay": {"usd": 2.5}, "teamMonth": {"tokens": 1_000_000_000}, "globalDay": {"usd": 250}},
    "corsOrigins": ["https://chat.example"],
    "tracing": {"endpoint": "http://jaeger:4317", "ratio": 0.1},
    "extraEnv": [
        {"name": "MAX_ITERATIONS", "value": "5"},
        {"name": "HOST", "value": "0.0.0.0"},
        {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"},
    ],
    "caBundle": {"configMap": "authorities"},
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    "revisionHistoryLimit": 3,
    "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
    "autoscaling": {"enabled": True, "activeRequests": {"enabled": True}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "agent-api"}},
        }
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "dnsPolicy": "ClusterFirst",
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["idp.example"]}],
    "service": {
        "type": "LoadBalancer",
        "annotations": {"note": "a"},
        "labels": {"expose": "true"},
        "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv4", "IPv6"],
        "nodePort": 30080,
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Cluster",
        "trafficDistribution": "PreferClose",
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "allocateLoadBalancerNodePorts": True,
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
    },
    "ingress": {"enabled": True, "className": "nginx", "tls": [{"secretName": "tls", "hosts": ["agent-api.local"]}]},
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "gateway"}],
        "hostnames": ["agent-api.local"],
        "rules": [
            {
                "matches": [{"path": {"value": "/chat"}, "headers": [{"name": "x-team", "value": "search"}]}],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}
                ],
                "timeouts": {"request": "10m"},
            },
            {"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "docs.example"}}]},
        ],
    },
    "networkPolicy": {
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "metricsNamespace": "prometheus",
        "dnsPorts": [53, 5353],
        "egressPorts": [8000],
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 8443, "protocol": "TCP"}]}],
    },
    "metrics": {
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
            "metricRelabelings": [{"regex": "python_.*", "action": "labeldrop"}],
        },
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    },
    "commonLabels": {"team": "search"},
    "podAnnotations": {"note": "a"},
    "podLabels": {"tier": "api", "team": "chat"},
    "deploymentAnnotations": {"reloader.stakater.com/auto": "true"},
    "extraVolumes": [{"name": "data", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "data", "mountPath": "/data"}],
    "extraContainers": [
        {
            "name": "proxy",
            "image": "proxy:1",
            "livenessProbe": {"tcpSocket": {"port": 1}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 1}},
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "8Mi"},
                "limits": {"cpu": "100m", "memory": "32Mi", "ephemeral-storage": "8Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}


KEDA = """
autoscaling:
  enabled: true
  keda:
    enabled: true
    annotations: {scaledobject.keda.sh/transfer-hpa-ownership: "true"}
    fallback: {failureThreshold: 3, replicas: 4}
    triggers:
      - type: prometheus
        metadata:
          serverAddress: http://prometheus.monitoring:9090
          query: sum(agent_active_requests{namespace="agents"})
          threshold: "20"
redis: {existingSecret: redis}
"""


PROXY = EVERYTHING["extraContainers"][0]


FIRST = {key: value for key, value in PROXY.items() if not key.endswith("Probe")}


EVERYTHING["extraInitContainers"] = [{**FIRST, "name": "first"}]
EVERYTHING["extraObjects"] = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": '{{ include "agent-api.fullname" . }}-more', "namespace": "{{ .Release.Namespace }}"},
        "data": {"port": "{{ .Values.service.port }}"},
    }
]

WORKER: dict[str, Any] = {
    **EVERYTHING,
    "runQueue": {"existingSecret": "run-queue"},
    "webhooks": {"existingSecret": "webhooks"},
    "guardRules": {"configMap": "guard-rules"},
    "redactionRules": {"configMap": "redaction-rules"},
    "sqlQuery": {"existingSecret": "reader", "port": 5433},
    "mcp": {"existingSecret": "mcp", "ports": [8443]},
    "auditKey": {"existingSecret": "audit"},
    "worker": {
        "enabled": True,
        "concurrency": 32,
        "drainSeconds": 20,
        "resources": {"requests": {"cpu": "250m"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "autoscaling": {"enabled": True, "minReplicas": 2, "queueAge": {"enabled": True, "seconds": 20}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "nodeSelector": {"pool": "batch"},
        "tolerations": [],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [],
        "priorityClassName": "low",
        "extraEnv": [{"name": "MAX_ITERATIONS", "value": "9"}],
        "podAnnotations": {"note": "b"},
        "podLabels": {"tier": "worker"},
    },
}

WORKER_KEDA = """
replicaCount: 2
redis: {url: "rediss://valkey.platform"}
runQueue: {url: "postgresql://agent:secret@db.platform/runs"}
workers: 2
metrics: {serviceMonitor: {enabled: true}}
worker:
  enabled: true
  replicaCount: null
  autoscaling:
    enabled: true
    minReplicas: 2
    targetCPUUtilizationPercentage: null
    keda: {enabled: true, serverAddress: "http://prometheus.monitoring:9090"}
"""

ROUTE = """
auth: {allowAnonymous: true}
replicaCount: 2
ingress: {enabled: true, className: alb}
httpRoute: {enabled: true, parentRefs: [{name: gateway}]}
"""


CASES = {
    "default": "",
    "kind": KIND_VALUES.read_text(),
    "everything": yaml.safe_dump(EVERYTHING),
    "keda": KEDA,
    "route": ROUTE,
    "worker": yaml.safe_dump(WORKER),
    "worker-keda": WORKER_KEDA,
}


TRACED: dict[str, Any] = {"tracing": {"endpoint": "http://jaeger.platform:4317"}}


EVERY_NAME: dict[str, Any] = {
    **TRACED,
    "models": ["anthropic/m", "openai/m", "ollama/m"],
    "ollama": {"enabled": True},
    "anthropic": {"existingSecret": "a"},
    "openai": {"apiKey": "b"},
    "redis": {"url": "redis://valkey.platform:6379"},
    "auth": {
        "mode": "jwt",
        "jwt": {"issuer": "i", "audience": "a", "existingSecret": "hmac", "algorithms": ["HS256"]},
    },
    "caBundle": {"secret": "authorities"},
}


LIMITS: dict[str, Any] = {
    "global": {"perMinute": 1_000_000},
    "tiers": {
        "default": {
            "user": {"perMinute": 60, "concurrent": 4},
            "chat": {"perMinute": 30},
            "tools": {"*": {"perMinute": 20}, "clock": {"concurrent": 1}},
        },
        "gold": {"agent": {"concurrent": 100}},
    },
}
