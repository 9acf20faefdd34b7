"""Addresses in settings: those that cannot work are refused at the start, in words that do not repeat them."""

import pytest

from app.urls import base_url, check_proxy, http_url


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("https://api.example/v1/", "https://api.example/v1"),
        (" https://api.example/v1\n", "https://api.example/v1"),
        ("HTTPS://API.Example/V1", "https://API.Example/V1"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1"),
        ("http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"),
        ("http://model_server.ai.svc.cluster.local.:65535", "http://model_server.ai.svc.cluster.local.:65535"),
        ("https://münchen.example", "https://münchen.example"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("http://localhost:", "http://localhost:"),
        ("http://127.1", "http://127.1"),
        ("https://gateway.example/a%20b/ü", "https://gateway.example/a%20b/ü"),
    ],
)
def test_addresses_that_work_are_taken(url: str, taken: str) -> None:
    assert base_url(url) == taken


@pytest.mark.parametrize(
    "url",
    [
        "",
        "xyzzyplugh",
        "xyzzyplugh:11434",
        "ftp://xyzzyplugh",
        "http:xyzzyplugh",
        "http:/xyzzyplugh",
        "http://",
        "http:///xyzzyplugh",
        "http://:80",
        "http://user:xyzzyplugh@host",
        "http://xyzzyplugh@host",
        "http://:xyzzyplugh@host",
        "http://@host",
        "http://user:xyzzy/plugh@host",
        "http://user:xyzzy#plugh@host",
        "http://user:xyzzy?plugh@host",
        "http://user:xyzzy\uff20plugh@host",
        "http://user:xyzzyplugh@[::1]:80",
        "http://host:xyzzyplugh",
        "http://host:0",
        "http://host:65536",
        "http://host:-1",
        "http://host:8 0",
        "http://[::1",
        "http://::1]",
        "http://[::1]xyzzyplugh",
        "http://[xyzzyplugh]",
        "http://[1.2.3.4]",
        "http://::1",
        "http://1.2.3.256",
        "http://1.2.3.4.5",
        "http://xyzzy..plugh",
        "http://.xyzzyplugh",
        "http://" + "x" * 64 + ".example",
        "http://" + ".".join(["x" * 60] * 5),
        "http://xyzzy,plugh",
        "http://xyzzy plugh",
        "http://xyzzy%20plugh",
        "http://xyzzy\\plugh",
        "http:\\\\xyzzyplugh",
        "http://xyzzy\u200bplugh",
        "http://xyzzy\tplugh",
        "http://host/xyzzy plugh",
        "http://host/\x7f",
        "http://host/\udcff",
        "http://host/v1?api-version=xyzzyplugh",
        "http://host/v1?",
        "http://host/v1#xyzzyplugh",
    ],
)
def test_addresses_that_cannot_work_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]") as caught:
        base_url(url)
    assert not any(word in str(caught.value) for word in ("xyzzy", "plugh", "user:"))
    assert caught.value.__cause__ is None


def test_a_query_is_fine_where_nothing_is_appended() -> None:
    assert http_url("https://login.example/keys?p=policy") == "https://login.example/keys?p=policy"


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://user:xyzzyplugh@proxy:3128/", "HTTP://10.0.0.1:3128"])
def test_proxies_may_want_a_pasxyzzy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    check_proxy("https://api.example")


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:3128",
        "user:xyzzyplugh@proxy:3128",
        "socks5://user:xyzzyplugh@proxy:1080",
        "https://user:xyzzyplugh@proxy:3128",
        "http://user:xyzzy/plugh@proxy:3128",
        "http://proxy:xyzzyplugh",
        "http://",
        "xyzzyplugh",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ValueError, match=r"^HTTPS_PROXY: ") as caught:
        check_proxy("https://api.example")
    assert not any(word in str(caught.value) for word in ("xyzzy", "plugh", "user:"))


@pytest.mark.usefixtures("_no_proxies")
def test_a_proxy_that_is_not_used_may_be_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense")
    check_proxy("http://ollama:11434")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    check_proxy("https://models.internal.example")
