"""Pipedrive: "Export data" and lists exported with "Export filter results", as CSV or saved as such from Excel.

Headers are "Deal - Title" and the like; links go by name, and by id where the list showed the id column. A list of
deals may hold columns of its organizations and people as well: they are read from files of their own.
"""

from .. import foreign, values
from ..preset import From, Preset, Reading, at

_MANY = foreign.first_of(values.text(320), ",;")
_STATE = foreign.said({"open": "open", "won": "won", "lost": "lost", "deleted": "lost"}, "open")


def _id(of: str) -> From:
    return at(f"{of} - ID", f"{of} - Pipedrive System ID", read=values.key)


def _organization(of: str) -> dict[str, From]:
    return {
        "organization": at(f"{of} - Organization ID", "Organization - ID"),
        "organization_name": at(f"{of} - Organization", "Organization - Name", "Organization", "Organization name"),
    }


def _contact(of: str) -> dict[str, From]:
    return {
        "contact": at(f"{of} - Contact person ID", f"{of} - Person ID", "Person - ID"),
        "contact_name": at(f"{of} - Contact person", "Person - Name", "Contact person"),
    }


PRESET = Preset(
    "pipedrive",
    "Pipedrive",
    (
        Reading(
            "organizations",
            (("Organization - Name", "Organization - Owner"), ("Organization - Name", "Organization - Address"), ("Organization - ID", "Organization - Name")),
            {
                "external_id": _id("Organization"),
                "name": at("Organization - Name"),
                "website": at("Organization - Website"),
                "domain": at("Organization - Website"),
                "industry": at("Organization - Industry"),
                "employees": at("Organization - Number of employees", "Organization - Employee count"),
                "street": at("Organization - Street/road name of Address", "Organization - Address - Street/road name of Address", "Organization - Address"),
                "city": at("Organization - City/town/village/locality of Address", "Organization - Address - City/town/village/locality of Address"),
                "region": at("Organization - State/county of Address", "Organization - Address - State/county of Address"),
                "postal_code": at("Organization - ZIP/Postal code of Address", "Organization - Address - ZIP/Postal code of Address"),
                "country": at("Organization - Country of Address", "Organization - Address - Country of Address"),
                "linkedin_url": at("Organization - LinkedIn profile"),
                "owner": at("Organization - Owner"),
            },
        ),
        Reading(
            "contacts",
            (("Person - Name", "Person - Owner"), ("Person - Name", "Person - Organization"), ("Person - Name", "Person - Email - Work"), ("Person - First name", "Person - Last name")),
            {
                "external_id": _id("Person"),
                "name": at("Person - Name"),
                "first_name": at("Person - First name"),
                "last_name": at("Person - Last name"),
                "title": at("Person - Job title", "Person - Title"),
                "email": at("Person - Email - Work", "Person - Email (Work)", "Person - Email", "Person - Email - Home", "Person - Email - Other", read=_MANY),
                "phone": at("Person - Phone - Work", "Person - Phone (Work)", "Person - Phone", "Person - Phone - Mobile", "Person - Phone - Home", read=foreign.first_of(values.text(60), ",;")),
                "linkedin_url": at("Person - LinkedIn", "Person - LinkedIn profile"),
                **_organization("Person"),
            },
        ),
        Reading(
            "leads",
            (("Lead - Title",),),
            {
                "external_id": _id("Lead"),
                "name": at("Lead - Title"),
                "source": at("Lead - Source", "Lead - Source channel"),
                "status": at("Lead - Status", "Lead - Archive status", read=foreign.said({"archived": "lost"}, "new")),
                "amount": at("Lead - Value"),
                "currency": at("Lead - Currency of Value"),
                "expected_close_on": at("Lead - Expected close date"),
                "owner": at("Lead - Owner"),
                **_organization("Lead"),
                "individual_name": at("Lead - Contact person", "Person - Name", "Contact person"),
            },
        ),
        Reading(
            "deals",
            (("Deal - Title",),),
            {
                "external_id": _id("Deal"),
                "name": at("Deal - Title"),
                "status": at("Deal - Status", read=_STATE),
                "stage": at("Deal - Stage", "Deal - Stage (pipeline)"),
                "pipeline": at("Deal - Pipeline"),
                "stage_entered_at": at("Deal - Last stage change"),
                "amount": at("Deal - Value"),
                "currency": at("Deal - Currency of Value", "Deal - Currency"),
                "probability": at("Deal - Probability", read=values.percent),
                "expected_close_on": at("Deal - Expected close date"),
                "closed_at": at("Deal - Deal closed on", "Deal - Closed on", "Deal - Won time", "Deal - Lost time"),
                "lost_reason": at("Deal - Lost reason"),
                "source": at("Deal - Source channel", "Deal - Source origin"),
                "owner": at("Deal - Owner"),
                **_organization("Deal"),
                **_contact("Deal"),
            },
        ),
        Reading(
            "tasks",
            (("Activity - Subject",),),
            {
                "external_id": _id("Activity"),
                "title": at("Activity - Subject"),
                "description": at("Activity - Note", "Activity - Public description", read=foreign.prose(10_000)),
                "status": at("Activity - Done", read=foreign.said({"done": "done", "yes": "done", "true": "done", "1": "done"}, "open")),
                "due_on": at("Activity - Due date"),
                "completed_at": at("Activity - Marked as done time"),
                "assignee": at("Activity - Assigned to user", "Activity - Owner"),
                "deal": at("Activity - Deal ID", "Deal - ID"),
                "deal_name": at("Activity - Deal", "Deal - Title", "Deal"),
                "lead_name": at("Activity - Lead", "Lead"),
                **_organization("Activity"),
                **_contact("Activity"),
            },
        ),
        Reading(
            "notes",
            (("Note - Content",),),
            {
                "external_id": at("Note - ID", "Note - Pipedrive system ID"),
                "body": at("Note - Content", read=foreign.prose(10_000)),
                "deal": at("Note - Deal ID", "Deal - ID"),
                "deal_name": at("Note - Deal", "Deal - Title", "Deal"),
                "lead_name": at("Note - Lead", "Lead"),
                **_organization("Note"),
                **_contact("Note"),
            },
        ),
        Reading(
            "documents",
            (("File - Name",), ("File - File name",), ("Document - Name",)),
            {
                "external_id": at("File - ID", "File - Pipedrive System ID", "Document - ID"),
                "title": at("File - Name", "File - File name", "Document - Name"),
                "description": at("File - Description", "Document - Description", read=foreign.prose(10_000)),
                "url": at("File - URL", "File - Link", "File - Download URL", "Document - URL"),
                "media_type": at("File - Type", "File - File type", "Document - Type", read=foreign.media),
                "owner_name": at("File - Owner", "File - User", "File - Uploaded by", "Document - Owner"),
                "deal": at("File - Deal ID", "Deal - ID"),
                "deal_name": at("File - Deal", "Deal - Title", "Deal"),
                "lead_name": at("File - Lead", "Lead"),
                **_organization("File"),
                **_contact("File"),
            },
        ),
    ),
    stages=("Qualified", "Contact Made", "Demo Scheduled", "Proposal Made", "Negotiations Started"),
)  # fmt: skip
