"""Parts of the rendered manifests, as the tests compare them."""

from typing import Any

from tests.chart.conftest import Rendered


def egress_ports(rendered: Rendered) -> set[int]:
    rules = rendered.one("NetworkPolicy")["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def volume(rendered: Rendered, name: str) -> Any:
    return next((one for one in rendered.pod()["volumes"] if one["name"] == name), None)


def mount(rendered: Rendered, name: str) -> Any:
    return next((one for one in rendered.app()["volumeMounts"] if one["name"] == name), None)


Variables = dict[str, Any]


def variables(container: dict[str, Any]) -> Variables:
    """What each variable is; fails where a name stands twice."""
    names = [one["name"] for one in container["env"]]
    assert len(names) == len(set(names)), f"{names} has a name twice"
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
