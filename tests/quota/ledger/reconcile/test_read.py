"""Exports of providers, as they come."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from santral.errors import BadRequest
from santral.quota.ledger.reconcile.compare import read_report
from santral.quota.ledger.reconcile.report import Line, Report

NOV_21, NOV_22 = date(2026, 11, 21), date(2026, 11, 22)
MIDNIGHT = 1_795_305_600  # of the 22nd, UTC


def read(tmp_path: Path, content: object) -> Report:
    path = tmp_path / "export"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return read_report(path)


def openai_page(*results: object, **more: object) -> dict[str, object]:
    bucket = {"object": "bucket", "start_time": MIDNIGHT, "end_time": MIDNIGHT + 86_400}
    page = {"object": "page", "data": [{**bucket, "results": list(results)}], "has_more": False}
    return {**page, **more}


def completion(**changes: object) -> dict[str, object]:
    # Shape: developers.openai.com/api/reference, organization/usage/completions.
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "output_tokens": 500,
        "input_cached_tokens": 800,
        "input_audio_tokens": 7,
        "output_audio_tokens": 0,
        "num_model_requests": 5,
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "model": "gpt-5-2025-08-07",
        "batch": None,
        "service_tier": None,
        **changes,
    }


def test_openais_usage_is_read_with_audio_beside_text(tmp_path: Path) -> None:
    report = read(tmp_path, openai_page(completion()))
    assert report.shape == "OpenAI usage"
    assert report.lines == [
        Line(day=NOV_22, model="gpt-5-2025-08-07", input_tokens=1007, output_tokens=500)
    ]
    assert (report.unread, report.has_more, report.days) == ([], False, (NOV_22, NOV_22))


def test_where_the_parts_are_named_the_sum_contains_the_audio(tmp_path: Path) -> None:
    parts = completion(input_text_tokens=993, output_text_tokens=500)
    assert read(tmp_path, openai_page(parts)).lines[0].input_tokens == 1000


def test_openais_costs_are_read_to_the_last_digit(tmp_path: Path) -> None:
    text = (
        '{"object":"page","data":[{"object":"bucket","start_time":1795305600,"results":[{"object":'
        '"organization.costs.result","amount":{"value":0.130804381234567890123,"currency":"usd"},'
        '"line_item":"gpt-5, input","project_id":null}]}],"has_more":true,"next_page":"x"}'
    )
    report = read(tmp_path, text)
    assert report.shape == "OpenAI costs"
    assert report.lines == [
        Line(day=NOV_22, model="gpt-5", cost_usd=Decimal("0.130804381234567890123"))
    ]
    assert report.has_more


def test_anthropics_usage_is_read_with_every_class_of_input(tmp_path: Path) -> None:
    # Shape: platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages.
    result = {
        "uncached_input_tokens": 1500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 500,
        "server_tool_use": {"web_search_requests": 10},
        "api_key_id": None,
        "workspace_id": None,
        "model": "claude-sonnet-4-20250514",
        "service_tier": "standard",
        "context_window": "0-200k",
        "surprise": 1,
    }
    page = {
        "data": [
            {"starting_at": "2026-11-21T00:00:00Z", "ending_at": "x", "results": []},
            {"starting_at": "2026-11-22T00:00:00Z", "ending_at": "x", "results": [result]},
        ]
    }
    report = read(tmp_path, page)
    assert report.shape == "Anthropic usage report"
    assert report.lines[0].input_tokens == 3200
    assert report.lines[0].output_tokens == 500
    assert report.unread == ["surprise"]
    assert report.days == (NOV_21, NOV_22)


def test_anthropics_costs_are_cents(tmp_path: Path) -> None:
    # Source: platform.claude.com/docs/en/api/admin/cost_report: "123.45" in "USD" is $1.23.
    result = {"amount": "123.78912", "currency": "USD", "model": "claude-opus-5", "cost_type": None}
    report = read(
        tmp_path, {"data": [{"starting_at": "2026-11-22T00:00:00Z", "results": [result]}]}
    )
    assert report.lines[0].cost_usd == Decimal("1.2378912")


def test_pages_may_come_as_a_list_or_one_a_line(tmp_path: Path) -> None:
    page = openai_page(completion(), has_more=True)
    last = openai_page(completion())
    for content in ([page, last], f"{json.dumps(page)}\n{json.dumps(last)}\n"):
        report = read(tmp_path, content)
        assert len(report.lines) == 2
        assert not report.has_more


def test_the_consoles_csv_files_are_known(tmp_path: Path) -> None:
    usage = read(
        tmp_path,
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
        "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
        "web_search_count,inference_geo,speed\n"
        "2026-11-22,claude-opus-5,App,Default,standard,≤ 200k,46981,15969,1,2,16932,0,global,\n",
    )
    assert usage.lines == [
        Line(day=NOV_22, model="claude-opus-5", input_tokens=62953, output_tokens=16932)
    ]
    cost = read(
        tmp_path,
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
        "list_price_usd,cost_type,inference_geo,speed\n"
        "2026-11-22,Claude Opus 4.6,Default,k,message,≤ 200k,output,0.50,0.50,token,global,\n",
    )
    assert cost.lines[0] == Line(day=NOV_22, model="claude-opus-4.6", cost_usd=Decimal("0.50"))
    openai = read(
        tmp_path,
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,"
        "input_tokens,output_tokens,input_cached_tokens\n"
        f"{MIDNIGHT + 60},{MIDNIGHT + 120},x,y,proj_1,3.0,gpt-5,4212,1673.0,0\n",
    )
    assert openai.lines == [Line(day=NOV_22, model="gpt-5", input_tokens=4212, output_tokens=1673)]
    assert usage.unread == cost.unread == openai.unread == []


def test_a_plain_csv_is_read_and_unknown_columns_are_named(tmp_path: Path) -> None:
    report = read(
        tmp_path, '\ufeffDate,Model,Input,Output,Cost,Team\n2026-11-21,m,"1,000",2,$1.5,x\n'
    )
    assert report.lines == [
        Line(day=NOV_21, model="m", input_tokens=1000, output_tokens=2, cost_usd=Decimal("1.5"))
    ]
    assert report.unread == ["team"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("{", "line 1 is no JSON"),
        ('{"rows": []}', "has no list 'data'"),
        ('{"data": [{"results": []}]}', "neither start_time nor starting_at"),
        ('{"data": [{"start_time": 1, "results": [{"clicks": 1}]}]}', "no report that is known"),
        ("a,b\n1,2\n", "no export that is known"),
        ("date,model,input\n2026-13-01,m,1\n", "line 2: date: '2026-13-01' is no time"),
        ("date,model,input\n2026-11-01,m,1.5\n", "line 2: input: '1.5' is no count"),
        ("date,model,input\n2026-11-01,m,-1\n", "is no count"),
        ("date,model,cost\n2026-11-01,m,NaN\n", "line 2: cost: 'NaN' is no number"),
        ("date,model,cost\n2026-11-01,m\n", "not as many cells"),
        ("date,model,cost\n2026-11-01,m,1,2\n", "not as many cells"),
        ("date,model,cost,currency\n2026-11-01,m,1,EUR\n", "currency is 'EUR'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        read_report(tmp_path / "none.csv")
