"""LangChain as a client of Santral. Runs in an environment of its own: see ``make journeys``."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

from answering import GATEWAY, KEY, RESULTS, serve
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class City(BaseModel):
    """A city and how many live there."""

    city: str
    population: int


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return RESULTS["weather"]


@tool
def get_weather(location: str) -> str:
    """Tell the weather of a location."""
    return RESULTS["get_weather"]


@tool
def time(zone: str) -> str:
    """Tell the time of a zone."""
    return RESULTS["time"]


TOOLS = [weather, get_weather, time]


def model(dialect: str, name: str, **options: Any) -> Any:
    options = {"api_key": KEY, "max_retries": 0, "timeout": 15} | options
    if dialect == "messages":
        return ChatAnthropic(model=name, base_url=GATEWAY, max_tokens=200, **options)
    return ChatOpenAI(
        model=name,
        base_url=f"{GATEWAY}/v1",
        use_responses_api=dialect == "responses",
        stream_usage=True,  # off by default at any address but OpenAI's
        **options,
    )


def shown(message: AIMessage) -> dict[str, Any]:
    usage = message.usage_metadata or {}
    return {
        "text": message.text,
        "input": usage.get("input_tokens"),
        "output": usage.get("output_tokens"),
        "calls": [[call["name"], call["args"]] for call in message.tool_calls],
        "ids": [call["id"] for call in message.tool_calls],
    }


def whole(dialect: str, model_name: str, text: str = "Hello", retries: int = 0) -> dict[str, Any]:
    return shown(model(dialect, model_name, max_retries=retries).invoke(text))


def gathered(runnable: Any, given: Any) -> tuple[Any, int]:
    """Return a streamed answer put together, and in how many pieces its text came."""
    answer, pieces = None, 0
    for chunk in runnable.stream(given):
        assert isinstance(chunk, AIMessageChunk)
        answer = chunk if answer is None else answer + chunk
        pieces += bool(chunk.text)
    return answer, pieces


def stream(dialect: str, model_name: str, text: str = "Hello") -> dict[str, Any]:
    answer, pieces = gathered(model(dialect, model_name), text)
    return shown(answer) | {"pieces": pieces}


def tools(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    bound = model(dialect, model_name).bind_tools(TOOLS)
    if is_streaming:
        return shown(gathered(bound, "Weather?")[0])
    return shown(bound.invoke("Weather?"))


def agent(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    """Ask, run the tools that are called, ask again, until there is an answer."""
    bound = model(dialect, model_name).bind_tools(TOOLS)
    messages: list[Any] = [HumanMessage("Weather and time?")]
    for _ in range(3):
        answer = gathered(bound, messages)[0] if is_streaming else bound.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            break
        messages += [
            ToolMessage(RESULTS[call["name"]], tool_call_id=call["id"])
            for call in answer.tool_calls
        ]
    return {"text": messages[-1].text, "turns": len(messages)}


def look(dialect: str, model_name: str, picture: str) -> dict[str, Any]:
    """Ask about a picture, given as base64 of a PNG."""
    image = {"type": "image", "base64": picture, "mime_type": "image/png"}
    message = HumanMessage(content=[{"type": "text", "text": "What is it?"}, image])
    return shown(model(dialect, model_name).invoke([message]))


def count(model_name: str) -> int:
    return model("messages", model_name).get_num_tokens_from_messages([HumanMessage("Hello")])


def structured(dialect: str, model_name: str, by: str) -> dict[str, Any]:
    method = "json_schema" if by == "schema" else "function_calling"
    made = model(dialect, model_name).with_structured_output(City, method=method).invoke("Capital?")
    return {"kind": type(made).__name__, "value": made.model_dump()}


def embed(model_name: str, texts: list[str]) -> list[list[float]]:
    made = OpenAIEmbeddings(
        model=model_name,
        base_url=f"{GATEWAY}/v1",
        api_key=KEY,
        max_retries=0,
        check_embedding_ctx_length=False,  # else it asks the network for a tokenizer
    )
    return made.embed_documents(texts)


if __name__ == "__main__":
    serve(
        {
            "whole": whole,
            "stream": stream,
            "tools": tools,
            "agent": agent,
            "look": look,
            "count": count,
            "structured": structured,
            "embed": embed,
        }
    )
