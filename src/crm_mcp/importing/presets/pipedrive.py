"""Pipedrive: "Export data" and lists exported with "Export filter results", as CSV or saved as such from Excel.

Headers are "Deal - Title" and the like; links go by name, and by id where the list showed the id column. A list of
deals may hold columns of its organizations and people as well: they are read from files of their own. In German, Portuguese and French the
headers are those words; of them the common ones are known.
"""

from .. import foreign, values
from ..preset import From, Preset, Reading, at

_MANY = foreign.first_of(values.text(320), ",;")
_STATE = foreign.said(
    {
        "open": "open", "won": "won", "lost": "lost", "deleted": "lost",
        "gewonnen": "won", "verloren": "lost", "gelöscht": "lost",
        "ganho": "won", "perdido": "lost", "excluído": "lost",
        "gagné": "won", "gagnée": "won", "perdu": "lost", "perdue": "lost", "supprimé": "lost",
    },
    "open",
)  # fmt: skip


_PORTUGUESE = {"Deal": "Negócio", "Person": "Pessoa", "Organization": "Organização"}
_GERMAN = {"Organization": "Organisation"}
_FRENCH = {"Deal": "Affaire", "Person": "Personne", "Organization": "Organisation"}


def _id(of: str) -> From:
    return at(
        f"{of} - ID",
        f"{_PORTUGUESE.get(of, of)} - ID",
        f"{_FRENCH.get(of, of)} - ID",
        f"{_GERMAN.get(of, of)} - ID",
        f"{of} - Pipedrive System ID",
        f"{of} - System ID",
        read=values.key,
    )


def _organization(of: str) -> dict[str, From]:
    return {
        "organization": at(f"{of} - Organization ID", "Organization - ID", "Organisation - ID"),
        "organization_name": at(
            f"{of} - Organization",
            f"{of} - Organisation",
            f"{_PORTUGUESE.get(of, of)} - Organização",
            f"{_FRENCH.get(of, of)} - Organisation",
            "Organization - Name",
            "Organisation - Name",
            "Organization",
            "Organization name",
        ),
    }


def _contact(of: str) -> dict[str, From]:
    return {
        "contact": at(f"{of} - Contact person ID", f"{of} - Person ID", "Person - ID"),
        "contact_name": at(
            f"{of} - Contact person",
            f"{of} - Kontaktperson",
            f"{_PORTUGUESE.get(of, of)} - Pessoa de contato",
            f"{_FRENCH.get(of, of)} - Personne à contacter",
            f"{of} - Person",
            "Person - Name",
            "Contact person",
        ),
    }


_CHANGED = (
    "Deal - Update time", "Deal - Updated", "Deal - Zeit der Aktualisierung", "Deal - Last activity date",
    "Deal - Datum der letzten Aktivität", "Deal - Deal created", "Deal - Deal created on", "Deal - Created", "Deal - Deal erstellt",
)  # fmt: skip
"""Where nothing says since when a deal is in its stage: when it was last touched."""
PRESET = Preset(
    "pipedrive",
    "Pipedrive",
    (
        Reading(
            "organizations",
            (("Organization - Name", "Organization - Owner"), ("Organization - Name", "Organization - Address"), ("Organization - ID", "Organization - Name"), ("Organisation - Name", "Organisation - Adresse"), ("Organisation - ID", "Organisation - Name"), ("Organização - Nome",)),
            {
                "external_id": _id("Organization"),
                "name": at("Organization - Name", "Organisation - Name", "Organização - Nome"),
                "website": at("Organization - Website"),
                "domain": at("Organization - Website"),
                "industry": at("Organization - Industry"),
                "employees": at("Organization - Number of employees", "Organization - Employee count"),
                "street": at("Organization - Street/road name of Address", "Organization - Address - Street/road name of Address", "Organization - Address", "Organisation - Adresse"),
                "city": at("Organization - City/town/village/locality of Address", "Organization - Address - City/town/village/locality of Address"),
                "region": at("Organization - State/county of Address", "Organization - Address - State/county of Address"),
                "postal_code": at("Organization - ZIP/Postal code of Address", "Organization - Address - ZIP/Postal code of Address"),
                "country": at("Organization - Country of Address", "Organization - Address - Country of Address"),
                "linkedin_url": at("Organization - LinkedIn profile"),
                "owner": at("Organization - Owner", "Organisation - Besitzer"),
            },
        ),
        Reading(
            "contacts",
            (("Person - Name", "Person - Owner"), ("Person - Name", "Person - Organization"), ("Person - Name", "Person - Email - Work"), ("Person - First name", "Person - Last name"), ("Person - Vorname", "Person - Nachname"), ("Person - Name", "Person - Organisation"), ("Pessoa - Nome",)),
            {
                "external_id": _id("Person"),
                "name": at("Person - Name", "Pessoa - Nome"),
                "first_name": at("Person - First name", "Person - Vorname"),
                "last_name": at("Person - Last name", "Person - Nachname"),
                "title": at("Person - Job title", "Person - Title", "Person - Position", "Pessoa - Cargo"),
                "email": at("Person - Email - Work", "Person - Email (Work)", "Person - Email", "Person - Email - Home", "Person - Email - Other", "Person - E-Mail-Adresse - Büro", "Person - E-Mail", "Pessoa - E-mail - Trabalho", "Pessoa - Email - Work", "Pessoa - E-mail", read=_MANY),
                "phone": at("Person - Phone - Work", "Person - Phone (Work)", "Person - Phone", "Person - Phone - Mobile", "Person - Phone - Home", "Person - Telefon - Büro", "Person - Telefon - Mobil", "Pessoa - Phone - Work", "Pessoa - Telefone", "Pessoa - Telefone - Celular", read=foreign.first_of(values.text(60), ",;")),
                "linkedin_url": at("Person - LinkedIn", "Person - LinkedIn profile", "Person - LinkedIn Profil-URL"),
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
            (("Deal - Title",), ("Deal - Titel",), ("Negócio - Título",), ("Affaire - Titre",)),
            {
                "external_id": _id("Deal"),
                "name": at("Deal - Title", "Deal - Titel", "Negócio - Título", "Affaire - Titre"),
                "status": at("Deal - Status", "Negócio - Status", "Affaire - Statut", read=_STATE),
                "stage": at("Deal - Stage", "Deal - Stage (pipeline)", "Deal - Phase", "Negócio - Etapa", "Affaire - Étape"),
                "pipeline": at("Deal - Pipeline", "Negócio - Funil", "Affaire - Pipeline"),
                "stage_entered_at": at("Deal - Last stage change", "Deal - Letzte Phasenänderung", *_CHANGED),
                "amount": at("Deal - Value", "Deal - Deal value", "Deal - Wert", "Negócio - Valor", "Affaire - Valeur"),
                "currency": at("Deal - Currency of Value", "Deal - Currency"),
                "probability": at("Deal - Probability", "Deal - Wahrscheinlichkeit", read=values.percent),
                "expected_close_on": at("Deal - Expected close date", "Negócio - Data de fechamento esperada", "Affaire - Date de clôture prévue"),
                "closed_at": at("Deal - Deal closed on", "Deal - Closed on", "Deal - Won time", "Deal - Lost time", "Deal - Deal abgeschlossen am", "Deal - Datum des gewonnenen Deals", "Deal - Datum des verlorenen Deals", "Negócio - Ganho em", "Affaire - Date de gain"),
                "lost_reason": at("Deal - Lost reason", "Deal - Verlustgrund", "Negócio - Motivo da perda", "Affaire - Raison de la perte", "Affaire - Raison de perte"),
                "source": at("Deal - Source channel", "Deal - Source origin"),
                "owner": at("Deal - Owner", "Deal - Besitzer", "Negócio - Proprietário"),
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
                "written_at": at("Note - Add time", "Note - Created", "Note - Note created"),
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
