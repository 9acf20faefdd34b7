"""Any server that speaks OpenAI's chat completions API."""

from app.errors import ModelError
from app.events import Usage
from app.models.http import Http, drain, read
from app.models.openai_answer import OpenAIAnswer
from app.models.openai_wire import encode_request
from app.models.prices import is_openai
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.sse import SseData
from app.models.tokens import estimated_input_tokens
from app.telemetry.logs import log


class OpenAIModel:
    """Where a server leaves the usage out, it is estimated, with a warning: no call is for free."""

    provider = "openai"
    context_window: int | None = None
    reasons = False

    def __init__(self, name: str, base_url: str, api_key: str | None, http: Http) -> None:
        self.name = name
        self.ref = f"openai/{name}"
        self._base_url = base_url
        self._http = http
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._max_tokens_field = "max_completion_tokens" if is_openai(base_url) else "max_tokens"
        self._warned = False

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        body = encode_request(request, self.name, self._max_tokens_field)
        url = f"{self._base_url}/chat/completions"
        answer = OpenAIAnswer()
        async with self._http.call("POST", url, body, self._headers) as response:
            if request.stream:
                sse = SseData()
                readany = response.content.readany
                while not answer.done and (chunk := await readany()):
                    for data in sse.feed(chunk):
                        if text := answer.add(data):
                            on_text(text)
                answer.end(sse.close())
                await drain(response)
            elif text := answer.add_whole(await read(response)):
                on_text(text)
        return answer.completion(self._usage(answer, request))

    def _usage(self, answer: OpenAIAnswer, request: ModelRequest) -> Usage:
        if answer.usage:
            return answer.usage
        if not self._warned:
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        return Usage(estimated_input_tokens(request), answer.estimated_output_tokens())

    async def probe(self) -> None:
        """Ask for the list of models. A server without one is alive as well."""
        try:
            async with self._http.call("GET", f"{self._base_url}/models", None, self._headers) as response:
                await read(response)
        except ModelError as error:
            if error.reason not in ("not_found", "bad_request"):
                raise

    async def aclose(self) -> None:
        """The session is shared: whoever made it closes it."""
