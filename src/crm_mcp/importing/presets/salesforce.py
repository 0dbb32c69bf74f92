"""Salesforce: reports exported as CSV (labels of its fields) and Data Export or Data Loader files (their API names).

Ids are 15 characters that differ by case, or the same as 18 that do not; a report has either.
"""

from .. import foreign, values
from ..preset import From, Preset, Reading, at

_KEY = foreign.long_id
_CLOSED = foreign.said(
    {"closed won": "won", "closed lost": "lost", "won": "won", "lost": "lost", "gewonnen": "won", "verloren": "lost"},
    "open",
)
_ACCOUNT = {
    "organization": at("Account ID", "AccountId", "Account ID (18)", "Account-ID", read=_KEY),
    "organization_name": at("Account Name", "Company / Account", "Accountname"),
}
_CONTACT = {
    "contact": at("Contact ID", "ContactId", read=_KEY),
    "contact_name": at("Contact Name", "Primary Contact"),
}
_CHANGED = (
    "Last Modified Date", "LastModifiedDate", "Zuletzt geändert am", "Last Activity", "LastActivityDate", "Letzte Aktivität",
    "Created Date", "CreatedDate", "Erstelldatum",
)  # fmt: skip
"""Where nothing says since when a record is in its stage: when it was last touched."""
_PRIORITY = foreign.said(
    {"low": "low", "normal": "normal", "medium": "normal", "high": "high", "critical": "urgent"}, "normal"
)


def _place(of: str) -> dict[str, From]:
    return {
        "street": at(f"{of} Street", f"{of}Street", f"{of} Address Line 1"),
        "city": at(f"{of} City", f"{of}City"),
        "region": at(f"{of} State/Province", f"{of}State", f"{of} State"),
        "postal_code": at(f"{of} Zip/Postal Code", f"{of}PostalCode", f"{of} Zip"),
        "country": at(f"{of} Country", f"{of}Country"),
    }


PRESET = Preset(
    "salesforce",
    "Salesforce",
    (
        Reading(
            "organizations",
            (("Account Name", "Account Owner"), ("Account Name", "Billing City"), ("Name", "BillingCity"), ("Name", "BillingStreet"), ("Name", "NumberOfEmployees", "OwnerId"), ("Accountname", "Accountinhaber")),
            {
                "external_id": at("Account ID", "Account-ID", "Id", read=_KEY),
                "name": at("Account Name", "Accountname", "Name"),
                "website": at("Website"),
                "domain": at("Website"),
                "industry": at("Industry"),
                "employees": at("Employees", "NumberOfEmployees"),
                "phone": at("Phone"),
                **_place("Billing"),
                "description": at("Account Description", "Description"),
                "owner": at("Account Owner", "Accountinhaber", "Owner.Email", "Owner.Name"),
            },
        ),
        Reading(
            "contacts",
            (("Contact ID", "Last Name"), ("First Name", "Last Name", "Account Name", "Contact Owner"), ("LastName", "AccountId"), ("First Name", "Last Name", "Mailing City")),
            {
                "external_id": at("Contact ID", "Id", read=_KEY),
                "name": at("Full Name", "Name"),
                "first_name": at("First Name", "FirstName"),
                "last_name": at("Last Name", "LastName"),
                "title": at("Title"),
                "email": at("Email"),
                "phone": at("Phone", "Mobile", "MobilePhone"),
                **_ACCOUNT,
            },
        ),
        Reading(
            "leads",
            (("Lead ID", "Lead Status"), ("Company / Account", "Lead Status"), ("Company / Account", "Lead Owner"), ("LastName", "Company", "Status"), ("Lead-ID", "Lead-Status"), ("Firma/Account", "Lead-Status")),
            {
                "external_id": at("Lead ID", "Lead-ID", "Id", read=_KEY),
                "person_first": at("First Name", "FirstName", "Vorname"),
                "person_last": at("Last Name", "LastName", "Nachname"),
                "person_name": at("Lead Name", "Name"),
                "person_title": at("Title"),
                "person_email": at("Email"),
                "person_phone": at("Phone", "Mobile", "MobilePhone"),
                "organization_name": at("Company / Account", "Company", "Firma/Account"),
                "status": at(
                    "Lead Status", "Lead-Status", "Status",
                    read=foreign.said(
                        {
                            "open - not contacted": "new", "new": "new", "working - contacted": "contacted",
                            "contacted": "contacted", "working": "contacted", "nurturing": "contacted",
                            "qualified": "qualified", "closed - converted": "converted", "converted": "converted",
                            "closed - not converted": "lost", "unqualified": "lost",
                        },
                        "new",
                    ),
                ),
                "stage": at("Lead Status", "Lead-Status", "Status"),
                "stage_entered_at": at(*_CHANGED),
                "source": at("Lead Source", "LeadSource", "Lead-Quelle"),
                "description": at("Description"),
                "converted_at": at("Converted Date", "ConvertedDate", "Konvertierungsdatum"),
                "owner": at("Lead Owner", "Lead-Inhaber", "Owner.Email", "Owner.Name"),
            },
        ),
        Reading(
            "deals",
            (("Opportunity Name", "Stage"), ("Opportunity Name", "Opportunity Owner"), ("StageName", "CloseDate"), ("Opportunity-Name", "Phase"), ("Opportunity-Name", "Opportunity-Inhaber")),
            {
                "external_id": at("Opportunity ID", "Opportunity-ID", "Id", read=_KEY),
                "name": at("Opportunity Name", "Opportunity-Name", "Name"),
                "status": at("Stage", "StageName", "Phase", read=_CLOSED),
                "stage": at("Stage", "StageName", "Phase"),
                "stage_entered_at": at("Last Stage Change Date", "LastStageChangeDate", *_CHANGED),
                "amount": at("Amount", "Betrag", "Opportunity-Betrag"),
                "currency": at("Amount Currency", "CurrencyIsoCode", "Opportunity Currency", "Betrag Währung", "Opportunity-Betrag Währung"),
                "probability": at("Probability (%)", "Probability", "Wahrscheinlichkeit (%)", read=values.percent),
                "expected_close_on": at("Close Date", "CloseDate", "Schlusstermin"),
                "closed_at": at("Close Date", "CloseDate", "Schlusstermin"),
                "lost_reason": at("Loss Reason", "Closed Lost Reason"),
                "source": at("Lead Source", "LeadSource", "Lead-Quelle"),
                "description": at("Description"),
                "owner": at("Opportunity Owner", "Opportunity-Inhaber", "Owner.Email", "Owner.Name"),
                **_ACCOUNT,
                **_CONTACT,
            },
        ),
        Reading(
            "issues",
            (("Case Number", "Subject"), ("CaseNumber", "Subject"), ("Case ID", "Subject")),
            {
                "external_id": at("Case ID", "Id", "Case Number", "CaseNumber", read=_KEY),
                "title": at("Subject"),
                "description": at("Description"),
                "status": at(
                    "Status",
                    read=foreign.said({"new": "open", "working": "open", "escalated": "open", "on hold": "waiting", "waiting on customer": "waiting", "closed": "closed"}, "open"),
                ),
                "priority": at("Priority", read=_PRIORITY),
                "type": at(
                    "Type", "Case Type", read=foreign.said({"question": "question", "problem": "problem", "feature request": "request", "complaint": "complaint"}, "problem")
                ),
                "opened_at": at("Date/Time Opened", "Opened Date", "CreatedDate"),
                "closed_at": at("Date/Time Closed", "Closed Date", "ClosedDate"),
                "assignee": at("Case Owner", "Owner.Email", "Owner.Name"),
                **_ACCOUNT,
                **_CONTACT,
            },
        ),
        Reading(
            "tasks",
            (("Activity ID", "Subject"), ("Subject", "Assigned", "Task"), ("Subject", "ActivityDate"), ("Subject", "WhoId")),
            {
                "external_id": at("Activity ID", "Id", read=_KEY),
                "title": at("Subject"),
                "description": at("Full Comments", "Comments", "Description"),
                "status": at(
                    "Task/Event Status", "Status", read=foreign.said({"completed": "done", "deferred": "cancelled"}, "open")
                ),
                "priority": at("Priority", read=_PRIORITY),
                "due_on": at("Due Date", "Date", "ActivityDate"),
                "completed_at": at("Completed Date", "CompletedDateTime"),
                "assignee": at("Assigned", "Owner.Email", "Owner.Name"),
                "about": at("WhatId", "Related To ID", read=_KEY),
                "beside": at("WhoId", "Name ID", read=_KEY),
                "deal": at("Opportunity ID", read=_KEY),
                "deal_name": at("Opportunity"),
                **_ACCOUNT,
                "organization_name": at("Company / Account", "Account Name"),
                **_CONTACT,
                "contact_name": at("Contact"),
            },
        ),
        Reading(
            "notes",
            (("Title", "Body", "ParentId"), ("Note", "Parent ID"), ("Body", "Parent ID")),
            {
                "external_id": at("Note ID", "Id", read=_KEY),
                "body": at("Body", "Note", read=foreign.prose(10_000)),
                "written_at": at("CreatedDate", "Created Date"),
                "about": at("ParentId", "Parent ID", read=_KEY),
                **_ACCOUNT,
                **_CONTACT,
            },
        ),
        Reading(
            "documents",
            (("ParentId", "Name", "ContentType"), ("Title", "ContentDocumentId"), ("Title", "PathOnClient"), ("File Name", "Parent ID"), ("Title", "File Extension")),
            {
                "external_id": at("Attachment ID", "Id", "File ID", "Version ID", read=_KEY),
                "title": at("Title", "Name", "File Name"),
                "description": at("Description"),
                "url": at("ContentUrl", "Content URL", "URL"),
                "media_type": at("ContentType", "Content Type", "FileExtension", "File Extension", "FileType", "File Type", read=foreign.media),
                "owner_name": at("Owner.Name", "Owner.Email", "Owner", "Created By"),
                "is_latest": at("IsLatest", "Is Latest"),
                "about": at("ParentId", "Parent ID", "FirstPublishLocationId", "LinkedEntityId", "First Publish Location ID", read=_KEY),
                **_ACCOUNT,
                **_CONTACT,
                "deal": at("Opportunity ID", read=_KEY),
            },
        ),
    ),
    {"001": "organization", "003": "contact", "006": "deal", "00Q": "lead", "500": "issue"},
    (
        "Open - Not Contacted", "Working - Contacted",
        "Prospecting", "Qualification", "Needs Analysis", "Value Proposition", "Id. Decision Makers", "Perception Analysis",
        "Proposal/Price Quote", "Negotiation/Review",
    ),
)  # fmt: skip
