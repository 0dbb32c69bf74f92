"""What the values mean of columns that hold one of a few."""

from collections.abc import Mapping

_PRIORITY = {"low": "can wait", "normal": "in its turn", "high": "before others", "urgent": "at once"}

VALUES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "activities": {
        "direction": {
            "in": "they came to us",
            "out": "we went to them",
        },
        "kind": {
            "call": "by telephone",
            "meeting": "together, or on a screen",
            "email": "by e-mail",
            "visit": "at the customer's",
            "other": "in another way",
        },
    },
    "articles": {
        "access": {
            "org": "everybody of the org",
            "roles": "the roles in `roles`, and administrators",
            "admin": "administrators alone",
        },
    },
    "custom_field_definitions": {
        "kind": {
            "text": "words",
            "number": "a number",
            "date": "a day",
            "boolean": "yes or no",
            "choice": "one of choices",
            "url": "a web address",
        },
    },
    "customers": {
        "kind": {
            "organization": "a company or the like",
            "person": "one person",
        },
    },
    "deals": {
        "status": {
            "open": "being worked on",
            "won": "the customer bought",
            "lost": "came to nothing",
        },
    },
    "preferences": {
        "kind": {
            "preference": "how they like things done",
            "correction": "what they set right",
            "pattern": "what was noticed of them",
            "decision": "what they chose, and why",
        },
        "via": {"person": "saved while the person was served", "agent": "saved by an agent that acted for them"},
        "source": {"person": "they said so", "agent": "an agent noticed it"},
    },
    "learnings": {
        "kind": {
            "lead_interaction": "a demo, call, visit or the like",
            "email_thread": "what was written to and fro",
            "meeting_summary": "what was said and decided",
            "campaign_result": "what came of a campaign",
            "chat_conversation": "of a chat with an assistant; its person's alone",
            "digest": "a summary of older ones",
        },
        "source": {
            "person": "somebody said so",
            "agent": "an agent noticed it",
            "document": "an e-mail, note or document said so",
            "system": "summed up by the worker",
        },
        "retention": {"short": "an hour", "medium": "30 days", "long": "a year", "permanent": "for good"},
    },
    "exports": {"format": {"csv": "comma-separated text", "xlsx": "a workbook of Excel"}},
    "issues": {
        "priority": _PRIORITY,
        "status": {
            "open": "being worked on",
            "waiting": "for the customer; counts as open",
            "resolved": "solved; can be opened again",
            "closed": "ended",
        },
        "type": {
            "question": "they want to know something",
            "problem": "something does not work",
            "complaint": "they are dissatisfied",
            "return": "goods are to come back",
            "warranty": "claimed under a warranty",
            "request": "they want something done",
        },
    },
    "leads": {
        "kind": {
            "job": "a job; more in jobs",
            "opportunity": "a sale; more in opportunities",
            "partnership": "a partnership; more in partnerships",
        },
        "status": {
            "new": "nobody was in touch yet",
            "contacted": "somebody was in touch",
            "qualified": "worth going on with",
            "interview": "talking with them",
            "proposal": "they have an offer",
            "converted": "became a deal, an order or the like",
            "lost": "came to nothing",
        },
    },
    "orders": {
        "status": {
            "confirmed": "agreed, not shipped",
            "shipped": "on its way or there",
            "completed": "nothing is left to do",
            "cancelled": "does not count as revenue",
        },
    },
    "outbox": {
        "state": {
            "queued": "waits to be sent",
            "sending": "the server has it or is being given it",
            "sent": "the server took it",
            "failed": "it did not go; last_error says why",
            "unsent": "no mail server is configured",
        },
    },
    "payments": {
        "method": {
            "transfer": "from their bank to ours",
            "card": "by card",
            "cash": "in cash",
            "cheque": "by cheque",
            "direct_debit": "we drew it from their bank",
            "other": "in another way",
        },
    },
    "people": {
        "role": {
            "admin": "runs the org's CRM, sees all",
            "sales": "sells",
            "operations": "ships goods and keeps stock",
            "finance": "invoices and books payments",
            "support": "answers issues",
        },
    },
    "pipeline_stages": {
        "kind": {
            "active": "on the way",
            "won": "the way ends well",
            "lost": "the way ends badly",
        },
    },
    "pipelines": {
        "assistant": {
            "sales": "the sales agent",
            "support": "the support agent",
            "research": "the research agent",
            "customer": "the customer agent",
        },
        "kind": {
            "sales": "to a sale",
            "support": "to an answer",
            "onboarding": "to a customer at work with what it bought",
            "partner": "to a partnership",
            "custom": "of the org's own kind",
        },
    },
    "projects": {
        "status": {
            "planned": "not begun",
            "active": "being worked on",
            "on_hold": "interrupted",
            "done": "finished",
            "cancelled": "given up",
        },
    },
    "quotes": {
        "status": {
            "open": "not decided; expired after valid_until",
            "accepted": "became an order",
            "declined": "the customer did not want it",
        },
    },
    "stock_movements": {
        "kind": {
            "opening": "what there was at the beginning",
            "receipt": "goods came in",
            "order": "goods left for an order",
            "return": "goods came back",
            "correction": "set right, as after a count or an undo",
        },
    },
    "tasks": {
        "priority": _PRIORITY,
        "status": {
            "open": "to be done",
            "done": "was done",
            "cancelled": "will not be done",
        },
    },
}
"""Table → column → value → what it means."""
