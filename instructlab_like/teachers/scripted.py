"""A teacher that answers from a given mapping or function; for tests and for examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from instructlab_like.errors import TeacherError
from instructlab_like.records import Completion, Prompt
from instructlab_like.teachers.probe import Capabilities, Finding, Recorder

ABLE = Finding(able="yes")
ALL = Capabilities(seed=ABLE, logprobs=ABLE, n=ABLE, json_schema=ABLE, over_long="unknown")


class ScriptedTeacher:
    """`script` gives an answer's text: by call key, or computed from the prompt. Keeps what it was asked, in order.

    It can do whatever its script does, so that nothing is refused by default; `capabilities` says otherwise.
    """

    def __init__(
        self,
        script: Mapping[str, str] | Callable[[Prompt], str],
        *,
        identity: str = "scripted",
        capacity: int = 8,
        capabilities: Capabilities = ALL,
    ) -> None:
        self.identity = identity
        self.capacity = capacity
        self.capabilities = capabilities
        self.notices: list[str] = []
        self.asked: list[Prompt] = []
        self.script = script if callable(script) else self.looked_up(script)

    @staticmethod
    def looked_up(answers: Mapping[str, str]) -> Callable[[Prompt], str]:
        def text(prompt: Prompt) -> str:
            if prompt.key not in answers:
                raise TeacherError("the script holds no answer", where=prompt.key, fix="add one under this key")
            return answers[prompt.key]

        return text

    async def answer(self, prompt: Prompt) -> Completion:
        self.asked.append(prompt)
        return Completion(key=prompt.key, text=self.script(prompt), finish_reason="stop")

    async def probe(self, _: Recorder) -> Capabilities:
        return self.capabilities

    async def close(self) -> None:
        """Nothing is held."""
