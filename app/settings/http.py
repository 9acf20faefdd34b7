"""Settings of HTTP: addresses, browsers, maximum sizes, numbers and waits."""

from pydantic import BaseModel, Field

from app.settings.kinds import GIB, TIB, List, Port, Seconds, Word


class HttpSettings(BaseModel):
    host: Word = Field("127.0.0.1", description="Address to listen on; the image sets 0.0.0.0")
    port: Port = Field(8000, description="Port of the API")
    metrics_port: Port = Field(9090, description="Port of `/metrics`, never the API's own")
    root_path: str = Field(
        "",
        description="Path that the service is installed under behind a proxy, such as `/agents`; a trusted proxy's "
        "X-Forwarded-Prefix goes first",
    )
    docs: bool = Field(True, description="Pages at `/docs` and `/redoc`; `/openapi.json` is there without them too")
    cors_origins: List = Field((), description="Origins that browsers may call from, comma-separated; `*` for all")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=GIB, description="Maximum size of a request body, in bytes")
    max_bodies_bytes: int = Field(
        67_108_864,
        ge=1024,
        le=TIB,
        description="Maximum size of all request bodies in transit, in bytes; a body of up to 16 KiB is not counted",
    )
    max_head_bytes: int = Field(
        65_536,
        ge=1024,
        le=16_777_216,
        description="Maximum size of the request line and headers, and of trailers, in bytes",
    )
    max_connections: int = Field(
        2000, ge=1, le=1_000_000, description="Maximum of open connections; further ones are answered 503"
    )
    max_active_requests: int = Field(
        1200,
        ge=1,
        le=1_000_000,
        description="Maximum of requests being answered, probes left out; further ones are answered 503, and from "
        "90 % on `/ready` says 503",
    )
    head_timeout_seconds: Seconds = Field(10, description="Deadline for the request line and headers")
    body_timeout_seconds: Seconds = Field(30, description="Deadline for the body")
    write_timeout_seconds: Seconds = Field(
        60, description="How long a client may read nothing before its connection is cut"
    )
