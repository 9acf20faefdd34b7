"""Ollama, by its own API: the OpenAI-compatible one can set no context window."""

import msgspec

from app.errors import AppError, ModelUnavailable
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.providers.adjusting import Adjusted, Adjusting
from app.models.providers.changes import Changes
from app.models.providers.failures import is_alive, unavailable
from app.models.providers.http import Http, drain, read
from app.models.providers.ollama.answer import OllamaAnswer, is_end
from app.models.providers.ollama.loading import wait_loaded
from app.models.providers.ollama.wire import FORMAT, encode_request
from app.models.providers.think_tags import Splitter
from app.models.resting import Resting, credential
from app.telemetry.logs import log

_HEADERS = {"Content-Type": "application/json"}


class OllamaModel(Adjusted):
    """A model whose template has no place for tools is called without them from then on, with a warning."""

    provider = "ollama"

    def __init__(
        self,
        name: str,
        base_url: str,
        num_ctx: int,
        keep_alive: str,
        http: Http,
        options: ModelOptions = NO_OPTIONS,
    ) -> None:
        self.name = name
        self.ref = f"ollama/{name}"
        self.resting = Resting(self.ref, credential(base_url, None))
        self._base_url = base_url
        self._num_ctx = num_ctx
        self._keep_alive = int(keep_alive) if keep_alive.lstrip("-").isdecimal() else keep_alive
        self._http = http
        self._options = options
        self._adjusting = Adjusting(self.ref, options, num_ctx, FORMAT)
        self._opened = False
        self._warned = False

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        def begin() -> OllamaAnswer:
            return OllamaAnswer(
                self._num_ctx, on_text, on_beside, Splitter(opened=self._opened), together=request.together
            )

        async def send(answer: OllamaAnswer, changes: Changes, max_tokens: int) -> None:
            await self._send(request, answer, changes, max_tokens)

        try:
            answer = await self._adjusting.send(request, begin, send)
        except ModelUnavailable as error:
            if error.reason == "not_found":
                raise self._missing(error) from error
            raise
        self._adjusting.reasons |= answer.reasons
        if answer.text.opened is not None:
            self._opened = answer.text.opened
        if not (answer.counted or self._warned):
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        return answer.completion(request, self.ref)

    async def _send(self, request: ModelRequest, answer: OllamaAnswer, changes: Changes, max_tokens: int) -> None:
        body = encode_request(
            request, self.name, self.ref, max_tokens, self._num_ctx, self._keep_alive, self._options, changes
        )
        async with self._http.call("POST", f"{self._base_url}/api/chat", body, _HEADERS, self.resting) as response:
            if request.stream if changes.stream is None else changes.stream:
                readany = response.content.readany
                while not answer.done and (data := await readany()):
                    answer.feed(data)
                answer.close()
                await drain(response)
            else:
                answer.whole(await read(response, is_whole=is_end))
            answer.end()

    async def probe(self) -> None:
        """Ask for the description of the model, which is there only if the model is. A server without one is alive."""
        body = msgspec.json.encode({"model": self.name})
        try:
            async with self._http.call("POST", f"{self._base_url}/api/show", body, _HEADERS) as response:
                await read(response)
        except AppError as error:
            if is_alive(error, self.name):
                return
            if isinstance(error, ModelUnavailable) and error.reason == "not_found":
                raise self._missing(error) from error
            raise

    async def wait_loaded(self) -> bool:
        """Returns when the server has loaded the model, or is not alive; True if it was loading until now."""
        body = {"model": self.name, "stream": False, "keep_alive": self._keep_alive}
        own = self._options.parameters.get("options")  # with others it would be loaded once more
        options = {**(own if isinstance(own, dict) else {}), "num_ctx": self._num_ctx}
        return await wait_loaded(self._http, self._base_url, {**body, "options": options})

    async def aclose(self) -> None:
        """The session is shared: whoever made it closes it."""

    def _missing(self, error: ModelUnavailable) -> ModelUnavailable:
        detail = f"The Ollama server does not have the model {self.name}. `ollama pull {self.name}` gets it."
        return unavailable("not_found", error.cause, words=error.words, detail=detail)
