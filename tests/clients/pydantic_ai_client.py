"""pydantic-ai as a client of Santral. Runs in an environment of its own: see ``make journeys``."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import base64
from typing import Any

from answering import GATEWAY, KEY, RESULTS, serve
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelRequest, NativeOutput, ToolOutput, direct
from pydantic_ai.embeddings import Embedder
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition


class City(BaseModel):
    """A city and how many live there."""

    city: str
    population: int


def definition(name: str, argument: str) -> ToolDefinition:
    schema = {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
    }
    return ToolDefinition(name=name, parameters_json_schema=schema)


TOOLS = [
    definition("weather", "city"),
    definition("get_weather", "location"),
    definition("time", "zone"),
]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return RESULTS["weather"]


def get_weather(location: str) -> str:
    """Tell the weather of a location."""
    return RESULTS["get_weather"]


def time(zone: str) -> str:
    """Tell the time of a zone."""
    return RESULTS["time"]


def openai_provider(retries: int = 0) -> OpenAIProvider:
    client = AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=retries, timeout=15)
    return OpenAIProvider(openai_client=client)


def model(dialect: str, name: str, retries: int = 0) -> Any:
    if dialect == "messages":
        client = AsyncAnthropic(base_url=GATEWAY, api_key=KEY, max_retries=retries, timeout=15)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))
    if dialect == "responses":
        return OpenAIResponsesModel(
            name,
            provider=openai_provider(retries),
            # by itself it believes so of OpenAI's own names, and tells reasoning as text to others
            profile=OpenAIModelProfile(openai_supports_encrypted_reasoning_content=True),
        )
    return OpenAIChatModel(name, provider=openai_provider(retries))


def shown(text: str, usage: Any) -> dict[str, Any]:
    return {"text": text, "input": usage.input_tokens, "output": usage.output_tokens}


def whole(dialect: str, model_name: str, text: str = "Hello", retries: int = 0) -> dict[str, Any]:
    result = Agent(model(dialect, model_name, retries)).run_sync(text)
    return shown(result.output, result.usage)


def stream(dialect: str, model_name: str, text: str = "Hello") -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with Agent(model(dialect, model_name)).run_stream(text) as result:
            pieces = [p async for p in result.stream_text(delta=True, debounce_by=None)]
            return shown("".join(pieces), result.usage) | {"pieces": len(pieces)}

    return asyncio.run(run())


def tools(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    """Ask once, below the agent: the calls as they came, none of them run."""
    asked = [ModelRequest.user_text_prompt("Weather?")]
    parameters = ModelRequestParameters(function_tools=TOOLS, allow_text_output=True)
    made = model(dialect, model_name)

    async def run() -> Any:
        if not is_streaming:
            return await direct.model_request(made, asked, model_request_parameters=parameters)
        async with direct.model_request_stream(
            made, asked, model_request_parameters=parameters
        ) as events:
            async for _ in events:
                pass
            return events.get()

    answer = asyncio.run(run())
    calls = [part for part in answer.parts if isinstance(part, ToolCallPart)]
    return {
        "calls": [[call.tool_name, call.args_as_dict()] for call in calls],
        "ids": [call.tool_call_id for call in calls],
    }


def agent(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    """Let the agent run its tools until there is an answer."""
    made = Agent(model(dialect, model_name), tools=[weather, get_weather, time])
    if not is_streaming:
        result = made.run_sync("Weather and time?")
        return {"text": result.output, "turns": len(result.all_messages())}

    async def drain(_: Any, events: Any) -> None:  # run_stream would end at the first text
        async for _event in events:
            pass

    result = asyncio.run(made.run("Weather and time?", event_stream_handler=drain))
    return {"text": result.output, "turns": len(result.all_messages())}


def look(dialect: str, model_name: str, picture: str) -> dict[str, Any]:
    """Ask about a picture, given as base64 of a PNG."""
    image = BinaryContent(base64.b64decode(picture), media_type="image/png")
    result = Agent(model(dialect, model_name)).run_sync(["What is it?", image])
    return shown(result.output, result.usage)


def structured(dialect: str, model_name: str, by: str) -> dict[str, Any]:
    output: Any = NativeOutput(City) if by == "schema" else ToolOutput(City, name="City")
    made = Agent(model(dialect, model_name), output_type=output).run_sync("Capital?").output
    return {"kind": type(made).__name__, "value": made.model_dump()}


def embed(model_name: str, texts: list[str]) -> list[list[float]]:
    made = Embedder(OpenAIEmbeddingModel(model_name, provider=openai_provider()))
    return [list(row) for row in made.embed_documents_sync(texts).embeddings]


if __name__ == "__main__":
    serve(
        {
            "whole": whole,
            "stream": stream,
            "tools": tools,
            "agent": agent,
            "look": look,
            "structured": structured,
            "embed": embed,
        }
    )
