"""How the certificates of servers that are called are checked."""

import ssl

import aiohttp

_STRICTLY = range(80, 95)
"""OpenSSL's codes for what only its strict mode refuses, which Python has on by default from 3.13."""


def client_context(strict: bool, ca_file: str | None = None) -> ssl.SSLContext:
    """Verifies as Python does by default; if not `strict`, without what Python 3.13 asks for in addition."""
    context = ssl.create_default_context(cafile=ca_file)
    if not strict:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def certificate_problem(error: BaseException) -> str | None:
    """What is wrong with the certificate that a connection failed for, and the setting that takes it; else None."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    words = error.verify_message.partition(",")[0]  # what follows a comma names the host, which /health tells nobody
    return f"{words}; TLS_STRICT=false takes it" if error.verify_code in _STRICTLY else words
