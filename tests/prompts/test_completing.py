"""What completion offers for a prompt's arguments, by what is typed."""

import pytest

SAM, OLGA = "sam@demo.example", "olga@demo.example"
DEMO = "select id from crm.orgs where slug = 'demo'"


async def test_no_more_than_a_hundred_come_and_how_many_there_are_is_said(prompts_of, owner_asks):
    count = owner_asks(
        f"select (select count(*) from crm.customers where org_id = ({DEMO}) and archived_at is null)"
        f" + (select count(*) from crm.deals where org_id = ({DEMO}) and archived_at is null)"
    )
    async with prompts_of(SAM) as prompts:
        offer = await prompts.offered("prepare_for_meeting", "about")
        assert (len(offer.values), offer.total, offer.has_more) == (100, count, True)
        few = await prompts.offered("prepare_for_meeting", "about", "müller")
        assert (len(few.values), few.has_more) == (few.total, False) and few.total < 100


async def test_an_id_completes_as_an_id_in_the_order_of_numbers(prompts_of):
    async with prompts_of(SAM) as prompts:
        values = (await prompts.offered("prepare_for_meeting", "about", "cust_1")).values
        assert values[0] == "cust_1" and all(value.startswith("cust_1") for value in values)
        numbers = [int(value[5:]) for value in values]
        assert numbers == sorted(numbers)
        whole = (await prompts.offered("prepare_for_meeting", "about", f"Whoever ({values[1]})")).values
        assert len(whole) == 1 and whole[0].endswith(f"({values[1]})")


async def test_what_begins_as_typed_comes_first_without_regard_to_accents_and_case(prompts_of, house):
    async with prompts_of(house.email) as prompts:
        assert [
            v.split(" (")[0] for v in (await prompts.offered("find_similar_opportunities", "lead", "JOB")).values
        ] == [f"Job {n}" for n in range(4)]
        assert (await prompts.offered("enrich_contacts", "organization", "fírm 3")).total == 1


@pytest.mark.parametrize("typed", ["%", "_", "\\", "'", "%(org)s", "twin%", "$org", "(((", "zz\\_zz", "x" * 5_000])
async def test_hostile_text_is_words_that_nobody_is_called(prompts_of, house, typed):
    async with prompts_of(house.email) as prompts:
        offer = await prompts.offered("prepare_for_meeting", "about", typed)
        assert (offer.values, offer.total, offer.has_more) in (
            ([], 0, False),
            ([f"Twin Ltd (cust_{number})" for number in house.twins], 2, False),  # twin% says twin
        )
        assert (await prompts.offered("pipeline_review", "stage", "a", {"pipeline": typed})).values == []
        assert (await prompts.offered("follow_up_stale_leads", "owner", typed)).values == []


async def test_people_are_offered_by_name_and_address_and_one_chosen_is_understood(prompts_of):
    async with prompts_of(SAM) as prompts:
        assert (await prompts.offered("follow_up_stale_leads", "owner")).values[0] == "me"
        (mia,) = (await prompts.offered("follow_up_stale_leads", "owner", "mor")).values
        assert mia == "Mia Moreau (mia@demo.example)"
        assert (await prompts.offered("follow_up_stale_leads", "owner", "mia@d")).values == [mia]
        assert (await prompts.facts("follow_up_stale_leads", owner=mia))["owner"] == "Mia Moreau"


async def test_lists_of_our_own_are_narrowed_by_what_is_typed(prompts_of):
    async with prompts_of(SAM) as prompts:
        for name, argument, typed, values in (
            ("data_hygiene", "entity", "c", ["contacts", "customers"]),
            ("data_hygiene", "entity", "Org", ["organizations"]),
            ("enrich_contacts", "kind", "", ["job", "opportunity", "partnership"]),
            ("follow_up_stale_leads", "days", "1", ["14"]),
            ("find_similar_opportunities", "reached", "inte", ["interview"]),
            ("pipeline_review", "nonsense", "a", []),
        ):
            assert (await prompts.offered(name, argument, typed)).values == values


async def test_the_days_of_a_meeting_begin_today(prompts_of):
    async with prompts_of(SAM) as prompts:
        offer = await prompts.offered("prepare_for_meeting", "on")
        assert len(offer.values) == 31 and offer.values == sorted(offer.values)
        assert (await prompts.offered("prepare_for_meeting", "on", offer.values[3])).values == [offer.values[3]]
