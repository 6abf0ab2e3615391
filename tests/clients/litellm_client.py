"""litellm's SDK as a client of Santral. Runs in an environment of its own: see ``make journeys``."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
from typing import Any

import litellm
from answering import GATEWAY, KEY, RESULTS, serve
from pydantic import BaseModel


class City(BaseModel):
    """A city and how many live there."""

    city: str
    population: int


def tool(name: str, argument: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
    }
    function = {"name": name, "description": f"Tells the {name}.", "parameters": schema}
    return {"type": "function", "function": function}


TOOLS = [tool("weather", "city"), tool("get_weather", "location"), tool("time", "zone")]
FLAT_TOOLS = [{"type": "function", **entry["function"]} for entry in TOOLS]  # as Responses has them


def address(dialect: str, model: str) -> dict[str, Any]:
    """Return where and as what litellm asks: it chooses the dialect by the model's prefix."""
    options = {"api_key": KEY, "timeout": 15, "max_retries": 0}
    if dialect == "messages":
        return options | {"model": f"anthropic/{model}", "api_base": GATEWAY, "max_tokens": 200}
    return options | {"model": f"openai/{model}", "api_base": f"{GATEWAY}/v1"}


def complete(dialect: str, model: str, messages: list[Any], is_streaming: bool, **more: Any) -> Any:
    """Return the whole answer; a stream is put together by litellm's own builder."""
    asked = address(dialect, model) | {"messages": messages, **more}
    if not is_streaming:
        return litellm.completion(**asked)
    chunks = list(litellm.completion(**asked, stream=True, stream_options={"include_usage": True}))
    answer = litellm.stream_chunk_builder(chunks, messages=messages)
    answer.pieces = sum(bool(c.choices and c.choices[0].delta.content) for c in chunks)
    return answer


def shown(answer: Any) -> dict[str, Any]:
    message = answer.choices[0].message
    calls = message.tool_calls or []
    return {
        "text": message.content or "",
        "input": answer.usage.prompt_tokens,
        "output": answer.usage.completion_tokens,
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        "ids": [call.id for call in calls],
        "pieces": getattr(answer, "pieces", 0),
    }


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def whole(dialect: str, model_name: str, text: str = "Hello", retries: int = 0) -> dict[str, Any]:
    if dialect == "responses":
        return shown_response(litellm.responses(input=text, **address(dialect, model_name)))
    return shown(complete(dialect, model_name, user(text), False, max_retries=retries))


def stream(dialect: str, model_name: str, text: str = "Hello") -> dict[str, Any]:
    if dialect != "responses":
        return shown(complete(dialect, model_name, user(text), True))
    said, pieces, final = "", 0, None
    for event in litellm.responses(input=text, stream=True, **address(dialect, model_name)):
        if event.type == "response.output_text.delta":
            said, pieces = said + event.delta, pieces + 1
        elif event.type == "response.completed":
            final = event.response
    return shown_response(final) | {"text": said, "pieces": pieces}


def shown_response(answer: Any) -> dict[str, Any]:
    calls = [item for item in answer.output if kind_of(item) == "function_call"]
    messages = [item for item in answer.output if kind_of(item) == "message"]
    return {
        "text": "".join(part.text for item in messages for part in item.content),
        "input": answer.usage.input_tokens,
        "output": answer.usage.output_tokens,
        "calls": [[call.name, json.loads(call.arguments)] for call in calls],
        "ids": [call.call_id for call in calls],
    }


def kind_of(item: Any) -> str:
    return item["type"] if isinstance(item, dict) else item.type


def tools(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    if dialect == "responses":
        return shown_response(respond(model_name, "Weather?", is_streaming, tools=FLAT_TOOLS))
    asked = user("Weather?")
    return shown(complete(dialect, model_name, asked, is_streaming, tools=TOOLS))


def respond(model_name: str, given: Any, is_streaming: bool, **more: Any) -> Any:
    """Return the whole response; of a stream its last event has it."""
    asked = {"input": given, **address("responses", model_name), **more}
    if not is_streaming:
        return litellm.responses(**asked)
    *_, last = litellm.responses(**asked, stream=True)
    return last.response


def agent(dialect: str, model_name: str, is_streaming: bool) -> dict[str, Any]:
    """Ask, run the tools that are called, ask again, until there is an answer."""
    if dialect == "responses":
        return agent_of_responses(model_name, is_streaming)
    messages = user("Weather and time?")
    for _ in range(3):
        answer = complete(dialect, model_name, messages, is_streaming, tools=TOOLS)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls or []:
            result = RESULTS[call.function.name]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        if not message.tool_calls:
            break
    return {"text": messages[-1]["content"], "turns": len(messages)}


def agent_of_responses(model_name: str, is_streaming: bool) -> dict[str, Any]:
    """Go on from the response before, which Santral keeps: only results are sent."""
    more: dict[str, Any] = {"tools": FLAT_TOOLS}
    answer = respond(model_name, "Weather and time?", is_streaming, **more)
    calls = [item for item in answer.output if kind_of(item) == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
        for call in calls
    ]
    more |= {"previous_response_id": answer.id}
    return shown_response(respond(model_name, results, is_streaming, **more)) | {"turns": 2}


def look(dialect: str, model_name: str, picture: str) -> dict[str, Any]:
    """Ask about a picture, given as base64 of a PNG."""
    url = f"data:image/png;base64,{picture}"
    if dialect == "responses":
        parts = [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "image_url": url},
        ]
        return shown_response(respond(model_name, [{"role": "user", "content": parts}], False))
    image = {"type": "image_url", "image_url": {"url": url}}
    content = [{"type": "text", "text": "What is it?"}, image]
    messages = [{"role": "user", "content": content}]
    return shown(complete(dialect, model_name, messages, False))


def rank(model_name: str, query: str, documents: list[str]) -> list[Any]:
    answer = litellm.rerank(
        model=f"cohere/{model_name}",
        api_base=GATEWAY,
        api_key=KEY,
        query=query,
        documents=documents,
    )
    return [[row["index"], row["relevance_score"]] for row in answer.results]


def moderate(model_name: str, text: str) -> bool:
    asked = {"api_key": KEY, "api_base": f"{GATEWAY}/v1", "custom_llm_provider": "openai"}
    return litellm.moderation(input=text, model=model_name, **asked).results[0].flagged


def structured(dialect: str, model_name: str, by: str) -> dict[str, Any]:
    if by == "tool":
        text = by_tool(dialect, model_name)
    elif dialect == "responses":
        text = shown_response(respond(model_name, "Capital?", False, text_format=City))["text"]
    else:
        answer = complete(dialect, model_name, user("Capital?"), False, response_format=City)
        text = answer.choices[0].message.content
    made = City.model_validate_json(text)
    return {"kind": type(made).__name__, "value": made.model_dump()}


def by_tool(dialect: str, model_name: str) -> str:
    """Return the arguments of a tool that has to be called and has the fields of the model."""
    function = {"name": "City", "parameters": City.model_json_schema()}
    if dialect == "responses":
        choice: Any = {"type": "function", "name": "City"}
        tools: Any = [{"type": "function", **function}]
        answer = respond(model_name, "Capital?", False, tools=tools, tool_choice=choice)
        return answer.output[0].arguments
    choice = {"type": "function", "function": {"name": "City"}}
    tools = [{"type": "function", "function": function}]
    asked = user("Capital?")
    answer = complete(dialect, model_name, asked, False, tools=tools, tool_choice=choice)
    return answer.choices[0].message.tool_calls[0].function.arguments


def embed(model_name: str, texts: list[Any]) -> list[list[float]]:
    asked = address("chat", model_name)
    return [row["embedding"] for row in litellm.embedding(input=texts, **asked).data]


if __name__ == "__main__":
    serve(
        {
            "whole": whole,
            "stream": stream,
            "tools": tools,
            "agent": agent,
            "look": look,
            "rank": rank,
            "moderate": moderate,
            "structured": structured,
            "embed": embed,
        }
    )
