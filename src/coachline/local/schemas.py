"""What the model server is asked, in the words of Ollama's API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""


class Options(BaseModel):
    """How to write. The defaults suit a very small model: without a repeat penalty it loops."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    temperature: float = Field(default=0.2, ge=0)
    repeat_penalty: float = Field(default=1.1, gt=0)
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    seed: int | None = None
    stop: list[str] | None = None
    num_predict: int | None = Field(default=None, description="Tokens; below 0: until it ends.")
    num_ctx: int | None = Field(default=None, gt=0, description="Tokens, prompt and answer.")

    @field_validator("stop", mode="before")
    @classmethod
    def _accept_one_stop(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class ModelRequest(BaseModel):
    """Any request: it names a model. Older clients say ``name``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str = ""
    name: str = ""


class TextRequest(ModelRequest):
    """A request for text. ``None`` options mean defaults."""

    stream: bool = True
    options: Options = Options()
    tools: list[object] | None = None
    think: bool | str | None = None
    format: str | dict[str, object] | None = None

    @field_validator("options", mode="before")
    @classmethod
    def _accept_no_options(cls, value: object) -> object:
        if isinstance(value, dict):  # a null option is an option not given
            return {name: option for name, option in value.items() if option is not None}
        return Options() if value is None else value


class ChatRequest(TextRequest):
    """POST /api/chat."""

    messages: list[Message] = []


class GenerateRequest(TextRequest):
    """POST /api/generate."""

    prompt: str = ""
    system: str = ""
    raw: bool = False


class EmbedRequest(ModelRequest):
    """POST /api/embed."""

    input: str | list[str]
    truncate: bool = True
    dimensions: int | None = Field(default=None, gt=0)
