"""Who may call: what the values become, where credentials land, and what is refused with a sentence."""

import copy
from typing import Any

import pytest
import yaml

from tests.chart.conftest import Render, RenderError
from tests.chart.reading import egress_ports, mount, volume

API_KEYS = {"mode": "api-key", "apiKeys": {"existingSecret": "keys"}}
ISSUER = {"issuer": "https://idp.example/", "audience": "agent-api"}
JWT = {"mode": "jwt", "jwt": {**ISSUER, "jwksUrl": "https://idp.example/keys"}}
BOTH = {**API_KEYS, **JWT, "mode": "api-key,jwt"}
ROUTE = {"enabled": True, "parentRefs": [{"name": "gateway"}]}


def jwt(**values: Any) -> dict[str, Any]:
    """The values of a mode with tokens, without a source of keys but the given one."""
    return {"mode": "jwt", "jwt": {**ISSUER, **values}}


def test_everyone_may_call_by_default_and_nothing_is_mounted(render: Render) -> None:
    rendered = render()
    settings = rendered.settings()
    assert settings["AUTH"] == "none"
    assert not [name for name in settings if name.startswith(("JWT_", "API_KEYS", "TRUSTED"))]
    assert volume(rendered, "api-keys") is None


@pytest.mark.parametrize(
    ("way", "values", "kind"),
    [
        ("ingress.enabled", {"ingress": {"enabled": True}}, "Ingress"),
        ("httpRoute.enabled", {"httpRoute": ROUTE}, "HTTPRoute"),
        ("service.type LoadBalancer", {"service": {"type": "LoadBalancer"}}, "Service"),
        ("service.type NodePort", {"service": {"type": "NodePort"}}, "Service"),
        ("service.externalIPs", {"service": {"externalIPs": ["192.0.2.1"]}}, "Service"),
    ],
)
def test_an_open_door_to_everyone_has_to_be_meant(render: Render, way: str, values: dict[str, Any], kind: str) -> None:
    sentence = rf"{way} would open the service to everyone .* auth\.allowAnonymous=true"
    with pytest.raises(RenderError, match=sentence):
        render(**values)
    assert render(**values, auth={"allowAnonymous": True}).one(kind)
    assert render(**values, auth=API_KEYS).one(kind)
    assert render(**values, auth=JWT).one(kind)


def test_api_keys_are_a_file_of_a_secret_that_is_mounted_as_a_whole_folder(render: Render) -> None:
    keys = {"existingSecret": "keys", "existingSecretKey": "ours.jsonl"}
    rendered = render(auth={"mode": "api-key", "apiKeys": keys})
    settings, mounted = rendered.settings(), mount(rendered, "api-keys")
    assert settings["AUTH"] == "api-key"
    assert settings["API_KEYS_FILE"] == f"{mounted['mountPath']}/ours.jsonl"
    assert mounted["readOnly"] is True
    assert "subPath" not in mounted
    secret = volume(rendered, "api-keys")["secret"]
    assert secret["secretName"] == "keys"
    assert secret["items"] == [{"key": "ours.jsonl", "path": "ours.jsonl"}]


def test_the_file_can_be_read_by_whatever_user_the_pod_has(render: Render) -> None:
    rendered = render(auth=API_KEYS, podSecurityContext={"runAsNonRoot": True, "runAsUser": 12345, "fsGroup": None})
    assert volume(rendered, "api-keys")["secret"]["defaultMode"] == 0o444


def test_other_keys_need_no_restart(render: Render) -> None:
    """Nothing of the pod depends on what is in the secret; the checksums are of the chart's own objects."""
    rendered = render(auth=API_KEYS)
    assert rendered.of("Secret") == []
    noted = rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert [name for name in noted if name.startswith("checksum/")] == ["checksum/config"]
    assert [one["name"] for one in rendered.app()["env"]] == ["HOST", "PORT", "METRICS_PORT"]


def test_tokens_by_a_key_set(render: Render) -> None:
    settings = render(auth=JWT).settings()
    assert {name: value for name, value in settings.items() if name == "AUTH" or name.startswith("JWT_")} == {
        "AUTH": "jwt",
        "JWT_ISSUER": "https://idp.example/",
        "JWT_AUDIENCE": "agent-api",
        "JWT_ALGORITHMS": "RS256",
        "JWT_JWKS_URL": "https://idp.example/keys",
    }


def test_tokens_by_a_public_key_and_claims_of_other_names(render: Render) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    claims = {"scopeClaim": "scp", "teamClaim": "group", "tierClaim": "plan"}
    settings = render(auth=jwt(publicKey=pem, algorithms=["ES256", "RS256"], **claims)).settings()
    assert settings["JWT_PUBLIC_KEY"] == pem
    assert settings["JWT_ALGORITHMS"] == "ES256,RS256"
    assert (settings["JWT_SCOPE_CLAIM"], settings["JWT_TEAM_CLAIM"], settings["JWT_TIER_CLAIM"]) == (
        "scp",
        "group",
        "plan",
    )


def test_tokens_by_a_secret_which_is_only_referred_to(render: Render) -> None:
    rendered = render(auth=jwt(existingSecret="hmac", existingSecretKey="the-key", algorithms=["HS256"]))
    variable = next(one for one in rendered.app()["env"] if one["name"] == "JWT_SECRET")
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "hmac", "key": "the-key"}
    assert rendered.of("Secret") == []


def test_keys_over_plain_http_have_to_be_meant(render: Render) -> None:
    with pytest.raises(RenderError, match=r"auth\.jwt\.jwksUrl is plain http.*auth\.jwt\.allowHttp=true"):
        render(auth=jwt(jwksUrl="http://idp:8080/keys"))
    settings = render(auth=jwt(jwksUrl="http://idp:8080/keys", allowHttp=True)).settings()
    assert settings["JWT_JWKS_ALLOW_HTTP"] == "true"


def test_the_way_to_the_issuer_s_keys_is_open(render: Render) -> None:
    assert egress_ports(render(auth=JWT)) == {53, 443}
    assert egress_ports(render(auth=jwt(jwksUrl="http://idp:8080/keys", allowHttp=True))) == {53, 8080}
    assert egress_ports(render(auth=API_KEYS)) == {53}


def test_both_at_once(render: Render) -> None:
    rendered = render(auth=BOTH)
    assert rendered.settings()["AUTH"] == "api-key,jwt"
    assert volume(rendered, "api-keys")
    assert rendered.settings()["JWT_JWKS_URL"]


@pytest.mark.parametrize("auth", [API_KEYS, JWT, BOTH], ids=lambda auth: auth["mode"])
def test_the_service_takes_the_settings(render: Render, auth: dict[str, Any]) -> None:
    read = render(auth=auth, trustedProxies=["10.0.0.0/8", "fd00::/8"]).read()
    assert ",".join(read.auth) == auth["mode"]
    assert read.trusted_proxies == ("10.0.0.0/8", "fd00::/8")
    assert read.jwt_algorithms == ("RS256",)


PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "keys without a file": ("set auth.apiKeys.existingSecret", {"mode": "api-key"}),
    "keys without a file, with tokens": ("set auth.apiKeys.existingSecret", JWT | {"mode": "api-key,jwt"}),
    "a file without the mode": ("set auth.mode=api-key.", API_KEYS | {"mode": "none"}),
    "a file with tokens only": (r"set auth.mode=api-key\,jwt.", API_KEYS | JWT),
    "tokens without the mode": ("auth.jwt.issuer is set, but auth.mode is none", JWT | {"mode": "none"}),
    "no issuer": ("auth.jwt.issuer is empty", {"mode": "jwt", "jwt": {"audience": "a", "jwksUrl": "https://a"}}),
    "no audience": ("auth.jwt.audience is empty", {"mode": "jwt", "jwt": {"issuer": "a", "jwksUrl": "https://a"}}),
    "no key": ("no key to verify tokens with: set auth.jwt.jwksUrl", jwt()),
    "two keys": ("auth.jwt.jwksUrl and auth.jwt.publicKey are set together", jwt(jwksUrl="https://a", publicKey="b")),
    "a private key": ("auth.jwt.publicKey holds a private key", jwt(publicKey=PEM)),
    "mixed signatures": ("mixes HMAC and public-key", jwt(existingSecret="a", algorithms=["HS256", "RS256"])),
    "a secret for public keys": ("set auth.jwt.algorithms={HS256}", jwt(existingSecret="a")),
    "a public key for HMAC": ("which needs a secret", jwt(jwksUrl="https://a", algorithms=["HS256"])),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_together_is_refused_by_name(render: Render, case: str) -> None:
    sentence, auth = REFUSED[case]
    with pytest.raises(RenderError) as refused:
        render(auth=auth)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "auth",
    [
        {"mode": "basic"},
        {"mode": "jwt", "jwt": {"algorithms": ["none"]}},
        {"mode": "jwt", "jwt": {"algorithms": []}},
        {"mode": "api-key", "apiKeys": {"existingSecret": "a", "existingSecretKey": "../keys"}},
        {"apiKeys": {"keys": ["agentapi_secret"]}},
        {"jwt": {"secret": "hunter2"}},
    ],
    ids=str,
)
def test_the_schema_refuses(render: Render, auth: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="don't meet the specifications"):
        render(auth=auth)


def test_a_file_and_a_secret_may_come_by_other_means(render: Render) -> None:
    """By a driver that mounts them, for example."""
    elsewhere = [{"name": "API_KEYS_FILE", "value": "/mnt/keys.jsonl"}]
    assert "API_KEYS_FILE" not in render(auth={"mode": "api-key"}, extraEnv=elsewhere).settings()
    source = [{"secretRef": {"name": "all-of-it"}}]
    assert render(auth=jwt(algorithms=["HS256"]), extraEnvFrom=source).settings()["AUTH"] == "jwt"


def test_helm_test_expects_to_be_refused_where_credentials_are_wanted(render: Render) -> None:
    for auth, mode in (({}, "none"), (API_KEYS, "api-key")):
        pods = [one for one in render(auth=copy.deepcopy(auth)).manifests if one["kind"] == "Pod"]
        assert len(pods) == 2
        for pod in pods:
            assert {"name": "AUTH", "value": mode} in pod["spec"]["containers"][0]["env"]


def test_no_credential_is_in_any_manifest(render: Render) -> None:
    text = yaml.safe_dump_all(render(auth=jwt(existingSecret="hmac", algorithms=["HS512"])).manifests)
    assert "JWT_SECRET" in text
    assert "kind: Secret" not in text
