"""The ways in: nothing on them ends an answer before a run does, or holds a stream back."""

from typing import Any

import pytest

from tests.chart.conftest import Render

GATEWAY: dict[str, Any] = {"enabled": True, "parentRefs": [{"name": "gateway"}]}
ANYONE = {"auth": {"allowAnonymous": True}}


def rules(render: Render, route: dict[str, Any], **values: Any) -> Any:
    return render(httpRoute={**GATEWAY, **route}, **ANYONE, **values).one("HTTPRoute")["spec"]["rules"]


def test_the_defaults_of_the_api_server_are_there(render: Render) -> None:
    """So that `kubectl diff` and Argo CD find no difference."""
    spec = render(httpRoute=GATEWAY, **ANYONE).one("HTTPRoute")["spec"]
    assert spec["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gateway"}]
    assert spec["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{"group": "", "kind": "Service", "name": "agent-api", "port": 8000, "weight": 1}],
            "timeouts": {"request": "150s"},
        }
    ]


def test_what_a_parent_says_wins(render: Render) -> None:
    parent = {"name": "mesh", "group": "", "kind": "Service", "port": 80, "sectionName": "http"}
    spec = render(httpRoute={"enabled": True, "parentRefs": [parent]}, **ANYONE).one("HTTPRoute")["spec"]
    assert spec["parentRefs"] == [parent]


@pytest.mark.parametrize(
    ("timeouts", "values", "wanted"),
    [
        ({}, {}, {"request": "150s"}),
        ({}, {"runTimeoutSeconds": 600}, {"request": "630s"}),
        ({}, {"runTimeoutSeconds": 0.5}, {"request": "31s"}),
        ({}, {"extraEnv": [{"name": "RUN_TIMEOUT_SECONDS", "value": "300"}]}, {"request": "330s"}),
        ({"request": "10m"}, {}, {"request": "10m"}),
        ({"request": "0s"}, {}, {"request": "0s"}),
        ({"backendRequest": "140s"}, {}, {"request": "150s", "backendRequest": "140s"}),
        ({"request": "none"}, {}, None),
    ],
    ids=str,
)
def test_a_gateway_waits_longer_than_a_run_takes(
    render: Render, timeouts: dict[str, str], values: dict[str, Any], wanted: dict[str, str] | None
) -> None:
    [rule] = rules(render, {"timeouts": timeouts}, **values)
    assert rule.get("timeouts") == wanted


def test_filters_of_the_one_rule(render: Render) -> None:
    added = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "a", "value": "b"}]}}
    [rule] = rules(render, {"filters": [added]})
    assert rule["filters"] == [added]
    assert rule["backendRefs"][0]["name"] == "agent-api"


def test_rules_of_one_s_own_are_completed(render: Render) -> None:
    given = [
        {
            "matches": [
                {"path": {"value": "/chat"}, "queryParams": [{"name": "a", "value": "b"}]},
                {"method": "GET", "headers": [{"name": "c", "type": "RegularExpression", "value": "d"}]},
            ],
            "backendRefs": [{"weight": 9}, {"name": "other", "port": 80}],
            "timeouts": {"backendRequest": "20s"},
        },
        {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}}}]},
        {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]},
    ]
    first, mirror, redirect = rules(render, {"rules": given})
    service = {"group": "", "kind": "Service"}
    assert first["matches"] == [
        {
            "path": {"type": "PathPrefix", "value": "/chat"},
            "queryParams": [{"name": "a", "type": "Exact", "value": "b"}],
        },
        {
            "path": {"type": "PathPrefix", "value": "/"},
            "method": "GET",
            "headers": [{"name": "c", "type": "RegularExpression", "value": "d"}],
        },
    ]
    assert first["backendRefs"] == [
        {**service, "name": "agent-api", "port": 8000, "weight": 9},
        {**service, "name": "other", "port": 80, "weight": 1},
    ]
    assert first["timeouts"] == {"request": "150s", "backendRequest": "20s"}
    assert mirror["filters"][0]["requestMirror"]["backendRef"] == {**service, "name": "m", "port": 1}
    assert redirect["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 302}
    assert redirect.keys() == {"matches", "filters"}


def ingress(render: Render, **values: Any) -> dict[str, str]:
    more = values.pop("values", {})
    found = render(ingress={"enabled": True, **values}, **ANYONE, **more).one("Ingress")["metadata"]
    return dict(found.get("annotations") or {})


@pytest.mark.parametrize("name", ["nginx", "nginx-internal"])
def test_nginx_waits_and_does_not_buffer(render: Render, name: str) -> None:
    noted = ingress(render, className=name, values={"runTimeoutSeconds": 200, "maxBodyBytes": 4_000_000})
    assert noted["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "230"
    assert noted["nginx.ingress.kubernetes.io/proxy-send-timeout"] == "230"
    assert noted["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert noted["nginx.ingress.kubernetes.io/proxy-body-size"] == "4000000"
    assert noted["nginx.org/proxy-read-timeout"] == "230s"
    assert noted["nginx.org/proxy-buffering"] == "false"


def test_alb_waits_reaches_the_pods_and_asks_whether_they_are_ready(render: Render) -> None:
    noted = ingress(render, className="alb")
    assert noted["alb.ingress.kubernetes.io/load-balancer-attributes"] == "idle_timeout.timeout_seconds=150"
    assert noted["alb.ingress.kubernetes.io/healthcheck-path"] == "/ready"
    assert noted["alb.ingress.kubernetes.io/target-type"] == "ip"
    noted = ingress(render, className="alb", values={"service": {"type": "NodePort"}})
    assert "alb.ingress.kubernetes.io/target-type" not in noted


def test_haproxy_waits(render: Render) -> None:
    noted = ingress(render, className="haproxy")
    assert noted == {"haproxy.org/timeout-server": "150s", "haproxy-ingress.github.io/timeout-server": "150s"}


@pytest.mark.parametrize("name", ["traefik", "", "gce"])
def test_other_classes_need_none_or_are_not_known(render: Render, name: str) -> None:
    assert ingress(render, className=name) == {}


def test_the_class_may_be_an_annotation(render: Render) -> None:
    noted = ingress(render, annotations={"kubernetes.io/ingress.class": "nginx"})
    assert noted["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "150"


def test_the_user_s_annotations_win(render: Render) -> None:
    own = {"nginx.ingress.kubernetes.io/proxy-read-timeout": "7", "more": "1"}
    noted = ingress(render, className="nginx", annotations=own)
    assert own.items() <= noted.items()
    assert noted["nginx.ingress.kubernetes.io/proxy-send-timeout"] == "150"


def test_the_service_has_both_families_and_all_that_a_service_may_have(render: Render) -> None:
    given = {
        "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
        "internalTrafficPolicy": "Local",
        "trafficDistribution": "PreferClose",
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    }
    rendered = render(service=given, metrics={"serviceMonitor": {"enabled": True}})
    api, scraped = sorted(rendered.of("Service"), key=lambda one: str(one["metadata"]["name"]))
    assert given.items() <= api["spec"].items()
    assert scraped["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
    balancer = {
        "type": "LoadBalancer",
        "loadBalancerClass": "a/b",
        "loadBalancerIP": "192.0.2.1",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 30001,
        "allocateLoadBalancerNodePorts": False,
        "externalIPs": ["192.0.2.2"],
    }
    found = render(service={**balancer, "nodePort": 30080}, **ANYONE).one("Service")["spec"]
    assert balancer.items() <= found.items()
    assert found["ports"][0]["nodePort"] == 30080


def test_by_default_the_cluster_decides(render: Render) -> None:
    assert render().one("Service")["spec"].keys() == {"type", "selector", "ports"}
