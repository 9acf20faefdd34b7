"""The chart tests' cases, as they can be installed beside other releases."""

from typing import Any

import yaml

from tests.chart.values import CASES

# A cluster of one family takes the second away, and a load balancer without an implementation keeps no class.
HERE: dict[str, Any] = {"service": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}}


def values(case: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CASES[case]) or {}
    if "ipFamilies" in found.get("service", {}):
        found["service"] |= HERE["service"]
    return found
