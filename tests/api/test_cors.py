"""CORS: which pages of other origins may call, from the settings."""

from collections.abc import Iterator

import httpx
import pytest

from app.errors import ConfigurationError
from app.main import create_app
from app.settings import load
from tests.service import Service, problem_of

ORIGIN = "https://chat.example"


@pytest.fixture(scope="module")
def open_to_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("cors"), cors_origins=f"{ORIGIN}, https://other.example")
    yield service
    service.end()


def preflight(service: Service, origin: str = ORIGIN, method: str = "POST") -> httpx.Response:
    return service.ask(
        "OPTIONS",
        "/chat",
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers="authorization,content-type,x-request-id,traceparent",
    )


def test_a_page_of_the_origin_may_call(open_to_one: Service) -> None:
    response = preflight(open_to_one)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert {"POST", "GET", "DELETE"} <= {
        name.strip() for name in response.headers["access-control-allow-methods"].split(",")
    }
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in response.headers


def test_a_page_of_another_origin_may_not(open_to_one: Service) -> None:
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example", "http://chat.example"):
        response = preflight(open_to_one, origin)
        problem_of(response, 403, "forbidden")
        assert "access-control-allow-origin" not in response.headers
        assert "access-control-allow-origin" not in open_to_one.ask("GET", "/api/tools", Origin=origin).headers


def test_answers_and_errors_can_be_read_by_the_page(open_to_one: Service) -> None:
    answers = [
        open_to_one.ask("POST", "/chat", {"message": "hi"}, Origin=ORIGIN),
        open_to_one.ask("POST", "/chat/stream", {"message": "hi"}, Origin=ORIGIN),
        open_to_one.ask("POST", "/chat", {"message": ""}, Origin=ORIGIN),
        open_to_one.ask("GET", "/nowhere", Origin=ORIGIN),
        open_to_one.ask("PUT", "/chat", {}, Origin=ORIGIN),
        open_to_one.client.post("/chat", content=b"hi", headers={"Origin": ORIGIN}),
        open_to_one.client.post(
            "/chat", content=b" " * 2_000_000, headers={"Origin": ORIGIN, "Content-Type": "application/json"}
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 404, 405, 415, 413]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in answer.headers["vary"].lower()
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"x-request-id", "x-trace-id", "x-request-latency", "retry-after"} <= exposed


def test_preflights_have_their_ids_too(open_to_one: Service) -> None:
    assert {"x-request-id", "x-trace-id"} <= preflight(open_to_one).headers.keys()


def test_without_the_setting_no_page_may_call(demo: Service) -> None:
    problem_of(preflight(demo), 405, "method-not-allowed")
    assert "access-control-allow-origin" not in demo.ask("GET", "/api/tools", Origin=ORIGIN).headers


def test_the_refusal_says_what_is_at_fault(open_to_one: Service) -> None:
    evil = "https://evil.example"
    for origin, method, reasons in (
        (evil, "POST", {"origin"}),
        (ORIGIN, "PUT", {"method"}),
        (evil, "PATCH", {"origin", "method"}),
    ):
        problem = problem_of(preflight(open_to_one, origin, method), 403, "forbidden")
        assert {word for word in ("origin", "method", "header") if f"its {word}" in problem["detail"]} == reasons
        assert "evil" not in problem["detail"]
    response = open_to_one.ask(
        "OPTIONS",
        "/chat",
        Origin=ORIGIN,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Private_Network="true",
    )
    assert "private network" in problem_of(response, 403, "forbidden")["detail"]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("https://chat.example/", "write https://chat.example"),
        ("https://chat.example/app", "write https://chat.example"),
        ("https://chat.example?x", "write https://chat.example"),
        ("https://chat.example#", "write https://chat.example"),
        ("https://ok.example,https://chat.example/", "'https://chat.example/' can never match"),
        ("chat.example", "write https://chat.example"),
        ("localhost:3000", "no scheme"),
        ("chat.example/app", "write https://chat.example"),
        ('["https://chat.example"]', "with commas"),
        ('["https://a.example", "https://b.example"]', "with commas"),
        ("'https://chat.example'", "with commas"),
        ("https://*.chat.example", "`*` stands for all"),
        ("https://chat.example:*", "`*` stands for all"),
        ("*.chat.example", "`*` stands for all"),
        ("HTTPS://chat.example", "write https://chat.example"),
        ("https://Chat.example", "write https://chat.example"),
        ("https://chat.example:443", "as https://chat.example"),
        ("http://chat.example:80", "as http://chat.example"),
        ("https://chat.example:08443", "as https://chat.example:8443"),
        ("http://[::1]:80", "as http://[::1]"),
        ("http://[0::1]:3000", "as http://[::1]:3000"),
        ("http://[::g]", "scheme://host:port"),
        ("http://256.1.1.1", "scheme://host:port"),
        ("https://chat..example", "scheme://host:port"),
        ("https:/chat.example", "scheme://host:port"),
        ("https//chat.example", "scheme://host:port"),
        ("wss://chat.example", "write https://chat.example"),
        ("https://a.example;https://b.example", "with commas"),
        ("https://a.example https://b.example", "with commas"),
        ("Null", "write null"),
        ("http://127.1:3000", "as http://127.0.0.1:3000"),
        ("https://grüße.example", "xn--"),
        ("https://chat.example:port", "scheme://host:port"),
        ("https://chat.example:99999", "scheme://host:port"),
        ("https://", "scheme://host:port"),
        ("https://a b.example", "scheme://host:port"),
        ("://chat.example", "write https://chat.example"),
        ("https://[::1", "scheme://host:port"),
    ],
)
def test_an_origin_that_no_browser_sends_stops_the_start(value: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^CORS_ORIGINS: ") as caught:
        create_app(load(None, cors_origins=value))
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_an_origin_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match=r"^CORS_ORIGINS: ") as caught:
        create_app(load(None, cors_origins="https://user:swordfish@chat.example"))
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "null",
        "http://localhost:3000",
        "http://[::1]:8080",
        "https://xn--gre-6ka8i.example",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "https://chat.example:8443",
        "https://127.0.0.1",
    ],
)
def test_an_origin_that_browsers_send_is_taken(value: str) -> None:
    create_app(load(None, cors_origins=value))
