"""Messages of a run, in the JSON form of pydantic-ai."""

from typing import Any


def asked(text: str) -> dict[str, Any]:
    return {"kind": "request", "instructions": "You are the order agent.", "parts": [user(text)]}


def user(text: str) -> dict[str, Any]:
    return {"part_kind": "user-prompt", "content": text}


def called(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    call = {"part_kind": "tool-call", "tool_name": tool, "args": arguments, "tool_call_id": f"call_{number}"}
    return {"kind": "response", "parts": [call]}


def answered(tool: str, content: Any, number: int = 1) -> dict[str, Any]:
    part = {"part_kind": "tool-return", "tool_name": tool, "content": content, "tool_call_id": f"call_{number}"}
    return {"kind": "request", "parts": [part]}


def said(text: str) -> dict[str, Any]:
    return {"kind": "response", "parts": [{"part_kind": "text", "content": text}]}
