"""Any server that speaks OpenAI's chat completions API."""

import re
from functools import partial

from app.errors import AppError
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.prices import is_openai
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.providers.adjusting import Adjusted, Adjusting
from app.models.providers.changes import Changes
from app.models.providers.failures import is_alive
from app.models.providers.http import Http, read
from app.models.providers.openai.answer import OpenAIAnswer
from app.models.providers.openai.request import FORMAT, encode_request
from app.models.providers.openai.stream import read_answer
from app.models.providers.think_tags import Splitter
from app.models.resting import Resting, credential
from app.telemetry.logs import log

_OPENED = (
    r"r1|qwq|think(?:ing|er)?|reason(?:er|ing)?|minimax-m|nemotron|qwen-?3\.[5-9]|kimi-k2\.[5-9]|exaone-deep|seed-oss"
)
_MAY_BE_OPENED = re.compile(rf"(?:^|[-_/:. ])(?:{_OPENED})(?:$|[-_/:. \d])", re.IGNORECASE)
"""Names of models whose templates have the opening tag of reasoning in the prompt."""

_REASONS = re.compile(
    rf"(?:^|[-_/:. ])(?:{_OPENED}|o[134]|gpt-[5-9](?!\S*-chat)|gpt-oss|magistral)(?:$|[-_/:. \d])", re.IGNORECASE
)
"""Names of models that think before they answer, whose first answer in a process should have room for it."""


class OpenAIModel(Adjusted):
    """Learns from the server's errors what it does not take, and from its answers whether the model reasons. Where it
    leaves the usage out, it is estimated, with a warning: no call is for free."""

    provider = "openai"

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str | None,
        http: Http,
        options: ModelOptions = NO_OPTIONS,
        context_window: int | None = None,
    ) -> None:
        self.name = name
        self.ref = f"openai/{name}"
        self.resting = Resting(self.ref, credential(base_url, api_key))
        self._adjusting = Adjusting(self.ref, options, context_window, FORMAT)
        self._options = options
        self._base_url = base_url
        self._url = f"{base_url}/chat/completions"
        self._http = http
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._is_openai = is_openai(base_url)
        self._max_tokens_field = "max_completion_tokens" if self._is_openai else "max_tokens"
        self._opened = self.reasons or _MAY_BE_OPENED.search(name) is not None
        if options.reasons is None:
            self._adjusting.reasons = _REASONS.search(name) is not None
        self._warned = False

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        def begin() -> OpenAIAnswer:
            return OpenAIAnswer(on_text, on_beside, request.tools, self._splitter(), together=request.together)

        answer = await self._adjusting.send(request, begin, partial(self._send, request))
        return self._completion(answer, request)

    async def _send(self, request: ModelRequest, answer: OpenAIAnswer, changes: Changes, max_tokens: int) -> None:
        limit = (self._max_tokens_field, max_tokens)
        body = encode_request(request, self.name, self.ref, limit, self._options, changes)
        async with self._http.call("POST", self._url, body, self._headers, self.resting) as response:
            await read_answer(response, answer, request.stream if changes.stream is None else changes.stream)

    def _splitter(self) -> Splitter | None:
        return None if self._is_openai else Splitter(opened=self._opened)

    def _completion(self, answer: OpenAIAnswer, request: ModelRequest) -> Completion:
        if answer.text.opened is not None:
            self._opened = answer.text.opened
        if not answer.counted and not self._warned:
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        self._adjusting.reasons |= answer.reasoned
        return answer.completion(request, self.ref)

    async def probe(self) -> None:
        """Ask for the list of models. A server without one is alive as well."""
        try:
            async with self._http.call("GET", f"{self._base_url}/models", None, self._headers) as response:
                await read(response)
        except AppError as error:
            if not is_alive(error):
                raise

    async def aclose(self) -> None:
        """The session is shared: whoever made it closes it."""
