"""Ollama, by its own API: the OpenAI-compatible one can set no context window."""

import msgspec

from app.errors import ModelUnavailable
from app.models.failures import unavailable
from app.models.http import Http, drain, read
from app.models.ollama_answer import OllamaAnswer
from app.models.ollama_wire import encode_request
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.telemetry.logs import log

_HEADERS = {"Content-Type": "application/json"}


class OllamaModel:
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
        self._base_url = base_url
        self.context_window: int | None = num_ctx
        self._num_ctx = num_ctx
        self._keep_alive = keep_alive
        self._http = http
        self.reasons = options.reasons
        self._options = options
        self._takes_tools = options.tools

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        answer = OllamaAnswer(self._num_ctx)
        while not answer.done:
            tools = request.tools if self._takes_tools else ()
            body = encode_request(request, self.name, self._num_ctx, self._keep_alive, tools)
            try:
                async with self._http.call("POST", f"{self._base_url}/api/chat", body, _HEADERS) as response:
                    if request.stream:
                        readany = response.content.readany
                        while not answer.done and (data := await readany()):
                            for text in answer.feed(data):
                                on_text(text)
                        await drain(response)
                    elif text := answer.whole(await read(response)):
                        on_text(text)
                answer.end()
            except ModelUnavailable as error:
                if not tools or "does not support tools" not in error.cause:
                    raise self._explained(error) from error
                self._takes_tools = False
                log.warning("model.takes_no_tools", model=self.ref)
        return answer.completion(request)

    async def probe(self) -> None:
        """Ask for the description of the model, which is there only if the model is."""
        body = msgspec.json.encode({"model": self.name})
        try:
            async with self._http.call("POST", f"{self._base_url}/api/show", body, _HEADERS) as response:
                await read(response)
        except ModelUnavailable as error:
            raise self._explained(error) from error

    async def aclose(self) -> None:
        """The session is shared: whoever made it closes it."""

    def _explained(self, error: ModelUnavailable) -> ModelUnavailable:
        if error.reason != "not_found":
            return error
        detail = f"The Ollama server does not have the model {self.name}. `ollama pull {self.name}` gets it."
        return unavailable("not_found", error.cause, detail=detail)
