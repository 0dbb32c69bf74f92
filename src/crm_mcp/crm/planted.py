"""Sees that a wish is not what a record says: words planted in a note, an e-mail or a document are nobody's preference.

It finds the words themselves, not their meaning: a model that was told to rephrase them gets past it, and then what a
preference can do is bounded by `memory.applying`.
"""

from ..context import Write
from ..errors import Refusal
from . import asking, subjects
from .subjects import SEEN

WORDS = 4
"""From so many words on a text is taken for another's: shorter ones are everybody's."""
LATELY = 400
"""E-mails, activities and memories that are looked at, the newest."""
_SEARCHED = ("notes", "documents", "issues", "tasks")
"""Tables whose words an index finds (`crm.find_words`)."""
_READ = {
    "emails": "concat_ws(' ', n.subject, n.body)",
    "activities": "concat_ws(' ', n.subject, n.body)",
    "learnings": "concat_ws(' ', n.content, n.data)",
}
"""Tables of which the latest rows are read, and their words."""
_HOLDS = "position(' ' || w.said || ' ' in ' ' || {text} || ' ') > 0"


def _searched(table: str) -> str:
    return f"""select from said w, lateral crm.find_words('{table}', w.said, %(role)s::text, %(user)s::bigint, false, 50) f
   join crm.{table} n on n.org_id = %(org)s and n.id = f.record where {_HOLDS.format(text="n.search_key")}"""


def _read(table: str, text: str) -> str:
    shown = f"'{table}' = any ({SEEN}) and {subjects.visible_sql('n')}"
    if table == "learnings":
        shown += " and n.source = 'document' and coalesce(n.user_id, %(user)s) = %(user)s"
    return f"""select from said w, (select * from crm.{table} n where n.org_id = %(org)s and {shown} order by n.id desc limit {LATELY}) n
   where {_HOLDS.format(text=f"crm.search_key({text})")}"""


_ASKED = " union all ".join(
    [
        *map(_searched, _SEARCHED),
        *(_read(table, text) for table, text in _READ.items()),
    ]
)
_SQL = f"""with said as (select s.said from unnest(%(texts)s::text[]) t(text), lateral (select crm.search_key(t.text) as said) s
   where cardinality(string_to_array(s.said, ' ')) >= {WORDS})
 select exists ({_ASKED})"""


async def see_that_none_says(ctx: Write, *texts: str) -> None:
    """Refuse texts that stand word for word in what the principal may read.

    Raises:
        Refusal: NOT_THEIR_WORD.
    """
    row = await asking.within(ctx)(_SQL, texts=list(texts), role=ctx.principal.role)
    if row and row[0]:
        hint = "A record says these very words, and what a record says is nobody's wish. Where the person means it, save it in their own words."
        raise Refusal("NOT_THEIR_WORD", hint)
