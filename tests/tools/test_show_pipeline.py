"""The page of a pipeline, as a model is told of it; the page itself is tested in a browser."""

import pytest

ADA, FIN = "ada@demo.example", "fin@demo.example"


async def test_it_says_what_the_data_tool_says_of_its_stages_and_records(connect):
    async with connect(ADA) as client:
        shown = (await client.call_tool("show_pipeline", {"pipeline": "sales"})).structured_content
        asked = {"pipeline": "sales", "records": True, "limit": 50}
        known = (await client.call_tool("get_pipelines", asked)).structured_content
    (whole,) = known["pipelines"]
    assert shown["pipeline"]["stages"] == whole["stages"]
    assert shown["pipeline"]["records"] == whole["records"][: len(shown["pipeline"]["records"])]
    assert len(shown["pipeline"]["records"]) > 5
    assert shown["_meta"]["total"] == known["_meta"]["total"]
    assert "nextCursor" not in shown["_meta"], "the cursor would be of another tool's list"


@pytest.mark.parametrize("pipeline", ["pipe_999999999", "no such way", "‮"])
async def test_a_pipeline_that_is_not_there_is_said_so(connect, pipeline):
    async with connect(ADA) as client:
        told = (await client.call_tool("show_pipeline", {"pipeline": pipeline})).structured_content
    assert told["error"] == "PIPELINE_NOT_FOUND"


async def test_it_is_there_for_who_has_pipelines_alone(connect):
    async with connect(FIN) as client:
        assert "show_pipeline" not in {tool.name for tool in (await client.list_tools()).tools}
