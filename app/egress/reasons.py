"""Why a request to another server failed, in fixed words for logs and callers."""

import aiohttp

from app.egress.connecting import AddressRefused


def reason_of(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorError(os_error=AddressRefused()):
            return "address_refused"
        case aiohttp.ClientConnectorCertificateError():
            return "certificate"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError():
            return "tls"
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "unreachable"
        case aiohttp.InvalidURL():
            return "bad_url"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "disconnected"
        case _:
            return "broken_answer"
