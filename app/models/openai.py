"""Any server that speaks OpenAI's chat completions API."""

import re

from app.errors import AppError, ContextTooLong, ModelError
from app.models.http import Http, read
from app.models.openai_answer import OpenAIAnswer
from app.models.openai_request import encode_request
from app.models.openai_stream import read_stream
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.prices import is_openai
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.refusal_rules import NO_CHANGES, Changes
from app.models.refusals import Said, change_for, words_of
from app.models.thinking import Splitter
from app.models.tokens import estimated_input_tokens
from app.models.windows import told_window
from app.telemetry.logs import log

MAX_SENDS = 6
"""Of one request, each without one more thing that the server refuses."""

_MARGIN = 64
_MINIMUM_OUTPUT = 16
_NAME_OF_THINKER = re.compile(r"(?:^|[-_/:. ])(?:r1|qwq|think(?:ing|er)?|reason(?:er|ing)?)(?:$|[-_/:. \d])", re.I)


class OpenAIModel:
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
        self.context_window = options.context_window or context_window
        self.reasons = options.reasons
        self._options = options
        self._base_url = base_url
        self._http = http
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._is_openai = is_openai(base_url)
        self._max_tokens_field = "max_completion_tokens" if self._is_openai else "max_tokens"
        self._changes = NO_CHANGES
        self._fits = options.context_window is None  # no window is known that requests have to be cut to
        self._opened = self.reasons or _NAME_OF_THINKER.search(name) is not None
        self._warned = False

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        changes = self._changes
        room: int | None = None
        tools = frozenset(tool.name for tool in request.tools) if request.tools else frozenset()
        for sends in range(1, MAX_SENDS + 1):
            answer = OpenAIAnswer(on_text, on_beside, tools, self._splitter())
            try:
                await self._send(request, changes, room, answer)
                break
            except AppError as error:
                if answer.written_bytes or sends == MAX_SENDS:
                    raise
                if (left := self._room_told(error, request)) is not None and left != room:
                    room = left
                elif changed := change_for(error, changes, self._options.parameters):
                    changes = changed
                else:
                    raise
        if changes is not self._changes:
            self._keep(changes)
        return self._completion(answer, request)

    async def _send(self, request: ModelRequest, changes: Changes, room: int | None, answer: OpenAIAnswer) -> None:
        max_tokens = (self._max_tokens_field, self._max_tokens(request, changes, room))
        body = encode_request(request, self.name, self.ref, max_tokens, self._options, changes)
        url = f"{self._base_url}/chat/completions"
        async with self._http.call("POST", url, body, self._headers) as response:
            if request.stream if changes.stream is None else changes.stream:
                await read_stream(response, answer)
            else:
                answer.add_body(await read(response))

    def _max_tokens(self, request: ModelRequest, changes: Changes, room: int | None) -> int:
        wanted = request.max_tokens + (request.max_reasoning_tokens if self.reasons else 0)
        if changes.max_output is not None:
            wanted = min(wanted, changes.max_output)
        if room is None and not self._fits and self.context_window is not None:
            room = self.context_window - estimated_input_tokens(request) - _MARGIN
        return wanted if room is None else max(1, min(wanted, room))

    def _room_told(self, error: AppError, request: ModelRequest) -> int | None:
        """The output that there is room for, if the error says how large the window is; it is remembered."""
        said = error.__cause__
        if not isinstance(error, ContextTooLong) or not isinstance(said, Said):
            return None
        window = told_window(words_of(said.body)[0])
        if window is None:
            return None
        if self.context_window is None or window.size < self.context_window:
            self.context_window = window.size
            log.warning("model.context_window_learned", model=self.ref, tokens=window.size)
        self._fits = False
        used = estimated_input_tokens(request) + _MARGIN if window.input is None else window.input
        room = window.size - used
        wanted = request.max_tokens + (request.max_reasoning_tokens if self.reasons else 0)
        return room if _MINIMUM_OUTPUT <= room < wanted else None

    def _keep(self, changes: Changes) -> None:
        """Remember what the server has answered to: the next request is sent like this at once."""
        before = self._changes.words()
        self._changes = changes
        if told := [words for words in changes.words() if words not in before]:
            log.warning("model.request_changed", model=self.ref, changes=told)

    def _splitter(self) -> Splitter | None:
        return None if self._is_openai else Splitter(opened=self._opened)

    def _completion(self, answer: OpenAIAnswer, request: ModelRequest) -> Completion:
        if answer.opened is not None:
            self._opened = answer.opened
        if not answer.counted and not self._warned:
            self._warned = True
            log.warning("model.usage_missing", model=self.ref)
        if answer.reasoned or answer.counted.reasoning:
            self.reasons = True
        return answer.completion(request, self.ref)

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
