"""The variables of the containers: each name once, the user's wins; proxies and authorities of a company's network."""

from typing import Any

import pytest

from tests.chart.conftest import Render, Rendered, RenderError
from tests.chart.reading import variables
from tests.chart.values import EVERY_NAME, TRACED


def sidecar(rendered: Rendered) -> dict[str, Any]:
    container: dict[str, Any] = next(one for one in rendered.pod()["initContainers"] if one["name"] == "ollama")
    return container


def test_each_variable_that_the_chart_sets_can_be_set_otherwise(render: Render) -> None:
    names = variables(render(**EVERY_NAME).app()).keys()
    assert {"HOST", "PORT", "REDIS_URL", "ANTHROPIC_API_KEY", "OTEL_RESOURCE_ATTRIBUTES", "SSL_CERT_FILE"} <= names
    own = [{"name": name, "value": f"my-{name}"} for name in sorted(names)]
    assert variables(render(**EVERY_NAME, extraEnv=own).app()) == {name: f"my-{name}" for name in names}


def test_so_can_each_setting_of_the_config_map(render: Render) -> None:
    names = render(**EVERY_NAME).settings().keys() - {"MODELS"}
    assert len(names) > 20
    rendered = render(**EVERY_NAME, extraEnv=[{"name": name, "value": "1"} for name in sorted(names)])
    assert rendered.settings().keys() == {"MODELS"}
    assert dict.fromkeys(names, "1").items() <= variables(rendered.app()).items()


def test_the_sidecar_s_variables_can_be_set_otherwise(render: Render) -> None:
    ollama = {"enabled": True, "extraEnv": [{"name": "HOME", "value": "/tmp"}, {"name": "MORE", "value": "1"}]}
    found = variables(sidecar(render(ollama=ollama)))
    assert found == {"OLLAMA_HOST": "127.0.0.1:11434", "OLLAMA_MODELS": "/ollama/models", "HOME": "/tmp", "MORE": "1"}


def test_of_one_s_own_variables_of_one_name_the_last_counts(render: Render) -> None:
    own = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}, {"name": "A", "value": "2"}]
    assert variables(render(extraEnv=own).app())["A"] == "2"


def test_variables_may_refer_to_those_above_them(render: Render) -> None:
    """Kubernetes expands $(NAME) only from what stands above."""
    own = [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}},
        {"name": "REDIS_URL", "value": "redis://:$(PASSWORD)@valkey"},
        {"name": "ME", "value": "$(POD_NAME)"},
    ]
    order = list(variables(render(**TRACED, redis={"url": "redis://a"}, extraEnv=own).app()))
    assert order.index("PASSWORD") < order.index("REDIS_URL")
    assert order.index("POD_NAME") < order.index("ME") < order.index("OTEL_RESOURCE_ATTRIBUTES")
    other = [{"name": "POD_NAME", "value": "one"}]
    order = list(variables(render(**TRACED, extraEnv=other).app()))
    assert order.index("POD_NAME") < order.index("OTEL_RESOURCE_ATTRIBUTES")


def test_without_a_proxy_nothing_is_said_of_one(render: Render) -> None:
    assert not [name for name in variables(render(**EVERY_NAME).app()) if "PROXY" in name.upper()]


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_what_is_near_is_called_without_the_proxy(render: Render, proxy: str) -> None:
    own = [{"name": proxy, "value": "http://proxy.example:3128"}]
    rendered = render(
        **EVERY_NAME | {"ollama": {"enabled": True, "extraEnv": own}, "openai": {"baseUrl": "https://llm.example/v1"}},
        extraEnv=own,
    )
    for container in (rendered.app(), sidecar(rendered)):
        found = variables(container)
        assert found[proxy] == "http://proxy.example:3128"
        for name in ("NO_PROXY", "no_proxy"):
            hosts = found[name].split(",")
            assert {"localhost", "127.0.0.1", "::1", ".svc", ".cluster.local"} <= set(hosts)
            assert {"valkey.platform", "jaeger.platform"} <= set(hosts)
            assert "llm.example" not in hosts


def test_the_exceptions_of_the_user_are_completed(render: Render) -> None:
    own = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, {"name": "no_proxy", "value": "a.example, localhost"}]
    found = variables(render(extraEnv=own).app())
    assert found["NO_PROXY"] == found["no_proxy"] == "a.example,localhost,127.0.0.1,::1,.svc,.cluster.local"
    elsewhere = {"name": "NO_PROXY", "valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "no"}}}
    found = variables(render(extraEnv=[own[0], elsewhere]).app())
    assert found["NO_PROXY"] == elsewhere["valueFrom"]
    assert "no_proxy" not in found
    alone = [{"name": "NO_PROXY", "value": "a.example"}]
    assert variables(render(extraEnv=alone).app())["NO_PROXY"] == "a.example"


@pytest.mark.parametrize("kind", ["configMap", "secret"])
def test_authorities_of_one_s_own_are_trusted_by_the_service_and_the_sidecar(render: Render, kind: str) -> None:
    rendered = render(ollama={"enabled": True}, caBundle={kind: "authorities", "key": "ca-bundle.crt"})
    [volume] = [one for one in rendered.pod()["volumes"] if one["name"] == "ca"]
    source = volume[kind]
    assert source["secretName" if kind == "secret" else "name"] == "authorities"
    assert source["items"] == [{"key": "ca-bundle.crt", "path": "ca-bundle.crt"}]
    for container in (rendered.app(), sidecar(rendered)):
        [mount] = [one for one in container["volumeMounts"] if one["name"] == "ca"]
        assert mount["readOnly"] is True
        for name in ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
            assert variables(container)[name] == f"{mount['mountPath']}/ca-bundle.crt"


def test_authorities_come_from_one_place(render: Render) -> None:
    with pytest.raises(RenderError, match=r"caBundle\.configMap and caBundle\.secret are both set"):
        render(caBundle={"configMap": "a", "secret": "b"})
    assert "ca" not in [one["name"] for one in render().pod()["volumes"]]


def test_the_address_that_is_listened_on_is_a_value(render: Render) -> None:
    assert variables(render().app())["HOST"] == "::"
    assert variables(render(host="0.0.0.0").app())["HOST"] == "0.0.0.0"


def test_a_port_that_is_given_is_the_one_that_is_probed_and_called(render: Render) -> None:
    rendered = render(extraEnv=[{"name": "PORT", "value": "9000"}, {"name": "METRICS_PORT", "value": "9100"}])
    ports = {port["name"]: port["containerPort"] for port in rendered.app()["ports"]}
    assert ports == {"http": 9000, "metrics": 9100}
    assert rendered.one("Service")["spec"]["ports"][0]["targetPort"] == "http"


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1:9999", 9999),
        (":9999", 9999),
        ("[::]:9999", 9999),
        ("http://127.0.0.1:9999/", 9999),
        ("0.0.0.0", 11434),
    ],
)
def test_the_sidecar_is_called_where_it_was_told_to_listen(render: Render, host: str, port: int) -> None:
    rendered = render(ollama={"enabled": True, "extraEnv": [{"name": "OLLAMA_HOST", "value": host}]})
    address = f"http://127.0.0.1:{port}"
    assert rendered.settings()["OLLAMA_API_BASE"] == address
    [pull] = [one for one in rendered.pod()["initContainers"] if one["name"] == "pull-models"]
    assert variables(pull)["OLLAMA_API_BASE"] == address
