"""HubSpot: "Export" of a view of companies, contacts, leads, deals, tickets, tasks or notes, as CSV.

Headers are the labels of its default properties; ids are "Record ID", associations "Associated Company IDs" and the
like, several with semicolons between them.
"""

from .. import foreign, values
from ..preset import Preset, Reading, at

_ID = at("Record ID", "Record ID - Contact", "Company ID", "Contact ID", "Deal ID", "Ticket ID")
_KEY = foreign.first_of(values.key)
_WORD = foreign.first_of(values.text(400))
_COMPANY = {
    "organization": at(
        "Associated Company IDs (Primary)", "Primary Associated Company ID", "Associated Company IDs",
        "Associated Company ID", "Primary Company ID", read=_KEY,
    ),
    "organization_name": at("Associated Company (Primary)", "Associated Company Names (Primary)", "Associated Company", "Primary Company Name", "Primary Company", read=_WORD),
}  # fmt: skip
_CONTACT = {
    "contact": at("Associated Contact IDs (Primary)", "Associated Contact IDs", "Associated Contact ID", read=_KEY),
    "contact_name": at("Associated Contact (Primary)", "Associated Contact", read=_WORD),
}
_DEAL = {
    "deal": at("Associated Deal IDs", "Associated Deal ID", read=_KEY),
    "deal_name": at("Associated Deal", read=_WORD),
}
_TICKET = {
    "issue": at("Associated Ticket IDs", read=_KEY),
    "issue_name": at("Associated Ticket", read=_WORD),
}
_PLACE = {
    "street": at("Street Address"),
    "city": at("City"),
    "region": at("State/Region"),
    "postal_code": at("Postal Code"),
    "country": at("Country/Region"),
}
_CHANGED = ("Last Modified Date", "Last Activity Date", "Create Date")
"""Where nothing says since when a record is in its stage: when it was last touched."""
_PRIORITY = foreign.said(
    {"low": "low", "medium": "normal", "high": "high", "urgent": "urgent", "none": "normal"}, "normal"
)
PRESET = Preset(
    "hubspot",
    "HubSpot",
    (
        Reading(
            "organizations",
            (("Company name", "Company owner"), ("Company name", "Company Domain Name"), ("Record ID", "Company name", "Industry")),
            {
                "external_id": _ID,
                "name": at("Company name", "Name"),
                "domain": at("Company Domain Name"),
                "website": at("Website URL"),
                "industry": at("Industry"),
                "employees": at("Number of Employees"),
                "email": at("Email"),
                "phone": at("Phone Number"),
                **_PLACE,
                "linkedin_url": at("LinkedIn Company Page"),
                "description": at("Description", "About Us"),
                "owner": at("Company owner"),
            },
        ),
        Reading(
            "contacts",
            (("Record ID", "First Name", "Last Name"), ("First Name", "Last Name", "Contact owner"), ("Email", "Lifecycle Stage", "Contact owner")),
            {
                "external_id": _ID,
                "first_name": at("First Name"),
                "last_name": at("Last Name"),
                "email": at("Email", read=foreign.first_of(values.text(320))),
                "phone": at("Phone Number", "Mobile Phone Number"),
                "title": at("Job Title"),
                "linkedin_url": at("LinkedIn URL", "LinkedIn"),
                **_COMPANY,
                "organization_name": at("Associated Company (Primary)", "Associated Company", "Company Name", read=_WORD),
            },
        ),
        Reading(
            "leads",
            (("Lead Name", "Lead Stage"), ("Lead Name", "Lead Pipeline Stage"), ("Lead Name", "Lead owner")),
            {
                "external_id": _ID,
                "name": at("Lead Name"),
                "status": at(
                    "Lead Stage", "Lead Pipeline Stage", "Lead Status",
                    read=foreign.said(
                        {
                            "new": "new", "attempting": "contacted", "connected": "contacted", "open": "new",
                            "in progress": "contacted", "attempted to contact": "contacted", "qualified": "qualified",
                            "open deal": "converted", "disqualified": "lost", "unqualified": "lost",
                        },
                        "new",
                    ),
                ),
                "stage": at("Lead Stage", "Lead Pipeline Stage", "Lead Status"),
                "pipeline": at("Lead Pipeline", "Pipeline"),
                "stage_entered_at": at("Date entered current stage", *_CHANGED),
                "source": at("Original Traffic Source", "Lead Source"),
                "owner": at("Lead owner", "Contact owner"),
                "lost_reason": at("Lead Disqualification Reason", "Disqualification Reason"),
                **_COMPANY,
                "individual_name": at("Associated Contact (Primary)", "Associated Contact", read=_WORD),
            },
        ),
        Reading(
            "deals",
            (("Deal Name", "Deal Stage"), ("Deal Name", "Deal owner")),
            {
                "external_id": _ID,
                "name": at("Deal Name"),
                "status": at(
                    "Deal Stage",
                    read=foreign.said({"closed won": "won", "closedwon": "won", "won": "won", "closed lost": "lost", "closedlost": "lost", "lost": "lost"}, "open"),
                ),
                "stage": at("Deal Stage"),
                "pipeline": at("Pipeline", "Deal Pipeline"),
                "stage_entered_at": at("Date entered current stage", *_CHANGED),
                "amount": at("Amount"),
                "currency": at("Currency", "Deal Currency Code"),
                "probability": at("Deal probability", read=foreign.likelihood),
                "expected_close_on": at("Close Date"),
                "closed_at": at("Close Date"),
                "lost_reason": at("Closed Lost Reason"),
                "source": at("Original Traffic Source", "Record source"),
                "description": at("Deal Description"),
                "owner": at("Deal owner"),
                **_COMPANY,
                **_CONTACT,
            },
        ),
        Reading(
            "issues",
            (("Ticket name", "Ticket status"), ("Ticket name", "Ticket owner")),
            {
                "external_id": _ID,
                "title": at("Ticket name"),
                "description": at("Ticket description", read=foreign.prose(10_000)),
                "status": at(
                    "Ticket status",
                    read=foreign.said({"new": "open", "waiting on contact": "waiting", "waiting on us": "open", "closed": "closed"}, "open"),
                ),
                "priority": at("Priority", read=_PRIORITY),
                "opened_at": at("Create Date"),
                "closed_at": at("Close Date"),
                "resolution": at("Resolution"),
                "assignee": at("Ticket owner"),
                **_COMPANY,
                **_CONTACT,
            },
        ),
        Reading(
            "tasks",
            (("Task Title",), ("Task Status", "Due Date")),
            {
                "external_id": _ID,
                "title": at("Task Title"),
                "description": at("Task Notes", "Notes", read=foreign.prose(10_000)),
                "status": at(
                    "Task Status",
                    read=foreign.said({"completed": "done", "deferred": "open", "not started": "open"}, "open"),
                ),
                "priority": at("Task Priority", "Priority", read=_PRIORITY),
                "due_on": at("Due Date"),
                "completed_at": at("Completed at", "Completed Date"),
                "assignee": at("Assigned to", "Task owner"),
                **_COMPANY, **_CONTACT, **_DEAL, **_TICKET,
            },
        ),
        Reading(
            "notes",
            (("Note body",), ("Body preview", "Activity date")),
            {
                "external_id": _ID,
                "body": at("Note body", "Body preview", read=foreign.prose(10_000)),
                "written_at": at("Activity date", "Create date", "Create Date"),
                **_COMPANY, **_CONTACT, **_DEAL, **_TICKET,
            },
        ),
        Reading(
            "documents",
            (("File ID", "File name"), ("File name", "File URL"), ("Attachment name",), ("Attachment URL",), ("Document name", "Document owner")),
            {
                "external_id": at("File ID", "Attachment ID", "Record ID", "Document ID", read=values.key),
                "title": at("File name", "Attachment name", "Document name", "Name", "Title"),
                "description": at("Description", "Alt text"),
                "url": at("File URL", "Attachment URL", "URL", "Link", "Document URL"),
                "media_type": at("Media type", "MIME type", "Extension", "File extension", "File type", "Type", read=foreign.media),
                "owner_name": at("Owner", "Uploaded by", "Created by", "Document owner"),
                **_COMPANY, **_CONTACT, **_DEAL, **_TICKET,
            },
        ),
    ),
    stages=(
        "New", "Attempting", "Connected", "Qualified",
        "Appointment Scheduled", "Qualified To Buy", "Presentation Scheduled", "Decision Maker Bought-In", "Contract Sent",
    ),
)  # fmt: skip
"""Of the columns about time in stages, the one of the current stage is read."""
