"""What a pod is: safe by default, probed, drained, and restarted when its settings change."""

from typing import Any

import pytest

from tests.chart.conftest import Render

RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
SIDECAR = {"ollama": {"enabled": True}}


@pytest.mark.parametrize("values", [{}, SIDECAR], ids=["default", "ollama"])
def test_every_container_meets_the_restricted_standard(render: Render, values: dict[str, Any]) -> None:
    rendered = render(**values)
    tests = [one["spec"] for one in rendered.manifests if one["kind"] == "Pod"]
    assert len(tests) == 2
    for pod in [rendered.pod(), *tests]:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == RESTRICTED
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_probes_ask_the_process_and_nothing_else(render: Render) -> None:
    app = render().app()
    assert app["startupProbe"]["httpGet"] == {"path": "/live", "port": "http"}
    assert app["livenessProbe"]["httpGet"] == {"path": "/live", "port": "http"}
    assert app["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert app[probe]["timeoutSeconds"] >= 2


@pytest.mark.parametrize(("pre_stop", "drain", "margin"), [(5, 25, 10), (1, 2, 3), (0, 300, 0)])
def test_the_grace_period_is_the_sum_of_its_parts(render: Render, pre_stop: int, drain: int, margin: int) -> None:
    rendered = render(preStopSeconds=pre_stop, drainSeconds=drain, marginSeconds=margin)
    assert rendered.pod()["terminationGracePeriodSeconds"] == pre_stop + drain + margin
    assert rendered.settings()["DRAIN_SECONDS"] == str(drain)
    if pre_stop:
        assert rendered.app()["lifecycle"] == {"preStop": {"sleep": {"seconds": pre_stop}}}
    else:
        assert "lifecycle" not in rendered.app()


def test_a_changed_setting_or_secret_rolls_the_pods(render: Render) -> None:
    def checksums(**values: Any) -> dict[str, str]:
        found: dict[str, str] = render(**values).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        return found

    assert checksums()["checksum/config"] != checksums(logLevel="debug")["checksum/config"]
    one, other = checksums(redis={"url": "redis://a"}), checksums(redis={"url": "redis://b"})
    assert one["checksum/secret"] != other["checksum/secret"]
    assert one["checksum/config"] == other["checksum/config"]
    assert "checksum/secret" not in checksums()


def test_nothing_is_random(render: Render) -> None:
    assert render(logLevel="debug") == render(logLevel="debug", commonLabels={})


def test_what_the_user_adds_arrives_in_the_pod(render: Render) -> None:
    rendered = render(
        extraEnv=[{"name": "MAX_ITERATIONS", "value": "3"}],
        extraEnvFrom=[{"secretRef": {"name": "more"}}],
        extraVolumes=[{"name": "data", "emptyDir": {}}],
        extraVolumeMounts=[{"name": "data", "mountPath": "/data"}],
        extraContainers=[{"name": "proxy", "image": "proxy:1"}],
        podAnnotations={"a": "b"},
        podLabels={"c": "d"},
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
        ],
        priorityClassName="high",
        imagePullSecrets=[{"name": "registry"}],
    )
    pod, app = rendered.pod(), rendered.app()
    assert {"name": "MAX_ITERATIONS", "value": "3"} in app["env"]
    assert {"secretRef": {"name": "more"}} in app["envFrom"]
    assert {"name": "data", "emptyDir": {}} in pod["volumes"]
    assert {"name": "data", "mountPath": "/data"} in app["volumeMounts"]
    assert [one["name"] for one in pod["containers"]] == ["agent-api", "proxy"]
    metadata = rendered.one("Deployment")["spec"]["template"]["metadata"]
    assert metadata["annotations"]["a"] == "b"
    assert metadata["labels"]["c"] == "d"
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert "podAntiAffinity" in pod["affinity"]
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "zone"
    assert pod["priorityClassName"] == "high"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


def test_the_image_is_the_tag_or_the_digest(render: Render) -> None:
    digest = "sha256:" + "0" * 64
    assert render().app()["image"] == "agent-api:0.1.0"
    assert render(image={"tag": "dev"}).app()["image"] == "agent-api:dev"
    assert render(image={"tag": "dev", "digest": digest}).app()["image"] == f"agent-api@{digest}"


def test_settings_reach_the_service_as_it_reads_them(render: Render) -> None:
    settings = render(
        maxBodyBytes=104857600,
        corsOrigins=["https://a.example", "https://b.example"],
        systemPrompt='Say "hello"\nand be brief.',
        tracing={"endpoint": "http://jaeger:4317", "ratio": 0.1},
    ).settings()
    assert settings["MAX_BODY_BYTES"] == "104857600"
    assert settings["CORS_ORIGINS"] == "https://a.example,https://b.example"
    assert settings["SYSTEM_PROMPT"] == 'Say "hello"\nand be brief.'
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4317"
    assert settings["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"
    assert settings["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
    assert settings["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
    assert settings["OTEL_SERVICE_NAME"] == "agent-api"
    assert not [name for name in render().settings() if name.startswith("OTEL_")]


def test_traces_can_leave_over_http_with_headers_of_a_secret(render: Render) -> None:
    rendered = render(
        tracing={"endpoint": "http://langfuse:3000/otel", "protocol": "http/protobuf", "existingSecret": "langfuse"}
    )
    assert rendered.settings()["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    [headers] = [one for one in rendered.app()["env"] if one["name"] == "OTEL_EXPORTER_OTLP_HEADERS"]
    assert headers["valueFrom"]["secretKeyRef"] == {"name": "langfuse", "key": "OTEL_EXPORTER_OTLP_HEADERS"}


def test_what_else_a_pod_may_have(render: Render) -> None:
    first = {"name": "first", "image": "first:1"}
    given: dict[str, Any] = {
        "runtimeClassName": "gvisor",
        "dnsPolicy": "None",
        "dnsConfig": {
            "nameservers": ["10.0.0.1"],
            "searches": ["example"],
            "options": [{"name": "ndots", "value": "2"}],
        },
        "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["idp.example"]}],
    }
    rendered = render(
        **given,
        extraInitContainers=[first],
        revisionHistoryLimit=0,
        deploymentAnnotations={"reloader.stakater.com/auto": "true"},
        ollama={"enabled": True},
    )
    assert given.items() <= rendered.pod().items()
    assert [one["name"] for one in rendered.pod()["initContainers"]] == ["first", "ollama", "pull-models"]
    deployment = rendered.one("Deployment")
    assert deployment["spec"]["revisionHistoryLimit"] == 0
    assert deployment["metadata"]["annotations"]["reloader.stakater.com/auto"] == "true"
    assert render(extraInitContainers=[first]).pod()["initContainers"] == [first]
    assert "revisionHistoryLimit" not in render().one("Deployment")["spec"]


def test_the_account_s_token_is_mounted_only_where_it_is_wanted(render: Render) -> None:
    for wanted in (False, True):
        rendered = render(serviceAccount={"automount": wanted})
        assert rendered.pod()["automountServiceAccountToken"] is wanted
        assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is wanted


def test_further_objects_are_templates(render: Render) -> None:
    as_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": '{{ include "agent-api.fullname" . }}-a',
            "labels": {"version": "{{ .Chart.AppVersion }}"},
        },
        "data": {"port": "{{ .Values.service.port }}"},
    }
    as_text = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-b
data: {a: {{ .Values.logLevel | quote }}}
"""
    rendered = render(extraObjects=[as_map, as_text])
    first, second = [one for one in rendered.of("ConfigMap") if "MODELS" not in one["data"]]
    assert (first["metadata"]["name"], first["data"]) == ("agent-api-a", {"port": "8000"})
    assert (second["metadata"]["name"], second["data"]) == ("agent-api-b", {"a": "info"})


def test_the_series_can_be_relabelled(render: Render) -> None:
    relabelling = {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
    dropped = {"regex": "python_.*", "action": "labeldrop"}
    monitor = {"enabled": True, "relabelings": [relabelling], "metricRelabelings": [dropped]}
    [endpoint] = render(metrics={"serviceMonitor": monitor}).one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{**relabelling, "action": "replace"}]
    assert endpoint["metricRelabelings"] == [dropped]
