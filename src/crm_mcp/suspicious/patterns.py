"""The known patterns: what texts look like that were written to move a model.

They point at what a person should look at; what is not here is no less untrusted. Each is read in time linear in the
text: gaps have bounds, and nothing that repeats holds what repeats. Sources: OWASP LLM01 (2025), S1 section 6 (blocked
patterns), BIPIA (Yi et al. 2023), and what chat templates of common models look like.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .folding import folded

VERSION = 1
"""Rises whenever a pattern is added or changed."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of such text. Each text that it matches holds one of its `words` or `pieces`, in folded form.

    A word is one of ASCII letters and underscores, and stands whole.
    """

    name: str
    meaning: str
    words: frozenset[str]
    pieces: tuple[str, ...]
    source: str

    def matches(self, form: str) -> bool:
        """Say whether a folded text matches; the expression is compiled the first time, long after a server's start."""
        return _compiled(self.source).search(form) is not None


@functools.cache
def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source, re.DOTALL | re.MULTILINE)


def _pattern(name: str, meaning: str, words: str, pieces: str, *ways: str) -> Pattern:
    """Return a pattern of several ways to say it; what is written in scripts with marks is folded as texts are."""
    said = "|".join(way if way.isascii() else folded(way) for way in ways)
    return Pattern(name, meaning, frozenset(words.split()), tuple(folded(pieces).split()), said)


_GAP = r"\b.{0,60}?\b"
_ORDERS = r"(?:instructions?|prompts?|directives?|guidelines|guardrails|rules|commands)\b"

WRITES = (
    "add_note", "add_to_pipeline", "approve_draft", "close_books", "complete_task", "create_credit_note", "create_invoice", "create_issue",
    "create_order_draft", "create_pipeline", "create_quote_draft", "create_task", "decline_quote", "define_custom_field", "delete_preference",
    "discard_draft", "enrich_contact", "execute_crm_query", "handoff_to_agent", "log_activity", "move_to_stage", "propose_changes",
    "record_payment", "revise_draft", "save_preference", "score_contact", "send_email_draft", "undo_change", "update_issue", "update_order",
    "update_pipeline", "update_policy", "create_export",
)  # fmt: skip
"""Tools that a text should not ask for, and one that there is not: whoever writes so knows no better."""
PATTERNS: Sequence[Pattern] = (
    _pattern(
        "override",
        "asks to ignore instructions",
        "instruction instructions prompt prompts directive directives guidelines guardrails rules commands everything anweisung "
        "anweisungen instruktion instruktionen vorgaben regeln consignes regles instrucciones reglas indicaciones ordenes istruzioni regole "
        "indicazioni instrucoes regras orientacoes instructies regels opdrachten instrukcje instrukcji polecenia polecenie polecen zasady "
        "zasad instruktioner instruktionerna instrukser regler talimat talimati talimatlar talimatlari",
        "инструкц указани правил команд 指令 指示 提示 规则 規則 命令 プロンプト ルール 지시 명령 프롬프트 تعليمات أوامر निर्देश",
        r"\b(?:ignore|disregard|forget|override|bypass|neglect|do not follow|don'?t follow|stop following|pay no attention to)\b"
        r"(?:\s+\w+){0,3}?\s+(?:all|any|every|the|these|those|your|my|our|previous|prior|above|earlier|preceding|former|past|"
        rf"system|safety|existing|other)\b.{{0,40}}?\b{_ORDERS}",
        rf"\b(?:ignore|disregard|forget)\s+{_ORDERS}",
        r"\b(?:ignore|disregard|forget)\s+(?:about\s+)?everything\s+(?:above|before|you|that was)",
        r"\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missachte\w*)"
        + _GAP
        + r"(?:anweisung|instruktion|vorgaben|regeln|prompt)",
        r"\b(?:ignor\w{1,5}|oubli\w{1,4}|ne tiens pas compte)"
        + _GAP
        + r"(?:instructions?|consignes|regles|directives)\b",
        r"\b(?:ignor\w{1,5}|olvid\w{1,4}|descart\w{1,4})" + _GAP + r"(?:instrucciones|reglas|indicaciones|ordenes)\b",
        r"\b(?:ignor\w{1,5}|dimentic\w{1,4})" + _GAP + r"(?:istruzioni|regole|indicazioni)\b",
        r"\b(?:ignor\w{1,5}|esquec\w{1,4}|desconsider\w{1,4})" + _GAP + r"(?:instrucoes|regras|orientacoes)\b",
        r"\b(?:negeer\w?|vergeet)" + _GAP + r"(?:instructies|regels|opdrachten)\b",
        r"\b(?:z?ignoruj|zapomnij)" + _GAP + r"(?:instrukcj|polecen|zasad)",
        r"\b(?:ignorera|ignorer|glom|glem)" + _GAP + r"(?:instruktion|instruks|regler)",
        r"\btalimat.{0,40}?(?:yok say|gormezden gel|unut)",
        r"(?:игнорируй|забудь)\w{0,4}.{0,60}?(?:инструкци|указани|правил|команд)",
        r"(?:忽略|无视|無視|忘记|忘記|不要理会).{0,20}?(?:指令|指示|提示|规则|規則)",
        r"(?:指示|命令|プロンプト|ルール).{0,12}?(?:無視|忘れ)",
        r"(?:지시|명령|프롬프트).{0,12}?(?:무시|잊)",
        r"(?:تجاهل|انس)\b.{0,40}?(?:تعليمات|أوامر)",
        r"निर्देश.{0,30}?(?:अनदेखा|नजरअंदाज|भूल)",
    ),
    _pattern(
        "role",
        "poses as the system or as another speaker",
        "system assistant developer instruction",
        "<| [inst] [/inst] <<",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end)\|>",
        r"\[/?inst\]|<</?sys>>",
        r"</?(?:system|assistant|instructions?|system[-_ ]?prompt)\s*>",
        r"^\W{0,6}(?:system|assistant|developer|instruction)(?: (?:prompt|message|note|override|instruction))?\s*:.{0,60}?"
        r"\b(?:you|your|must|ignore|disregard|always|never|approve|reveal|override|comply|obey|respond|reply)\b",
        r"\b(?:begin|start|end|new|updated) (?:of )?(?:the )?system (?:prompt|message|instructions?)\b",
    ),
    _pattern(
        "persona",
        "tells a model what it is from now on",
        "now act pretend jailbreak jailbroken jail anything developer bist",
        "",
        r"\byou are now (?:in \w+(?: \w+)? mode|an? (?:\w+ ){0,2}(?:ai|assistant|model|agent|bot|hacker|admin\w*)\b|dan\b|"
        r"unrestricted|jailbroken|free (?:of|from))",
        r"\bfrom now on,? (?:you|always|never|ignore|respond|reply|answer)\b.{0,40}?\b(?:are|will|must|act|respond|reply|answer|"
        r"speak|obey|instructions?)\b",
        r"\b(?:act as|pretend (?:to be|you are|that you)) (?:if you (?:are|were|had) )?(?:an? |the )?(?:\w+ )?(?:ai|assistant|model|"
        r"bot|admin\w*|system|root|unrestricted|dan)\b",
        r"\bjail ?br(?:ea|o)k\w{0,3}\b|\bdo anything now\b|\bdeveloper mode (?:is )?(?:on|enabled|active)",
        r"\bdu bist (?:jetzt|ab sofort) (?:ein|eine|der|die|im)\b.{0,30}?(?:ki\b|assistent|modus|modell|bot\b)",
    ),
    _pattern(
        "prompt-leak",
        "asks for a model's instructions",
        "prompt instructions anweisungen",
        "",
        r"\b(?:reveal|show|print|repeat|output|display|leak|tell me|write out|what (?:is|are|were))\b.{0,30}?\b(?:system|initial|hidden|"
        r"secret|original|developer|your)\s+(?:\w+ )?(?:prompt|instructions)\b",
        r"\b(?:zeige?|nenne?|wiederhole?)\b.{0,30}?\b(?:system\s?prompt|(?:deine|ursprungliche)n? anweisungen)",
    ),
    _pattern(
        "address",
        "speaks to a model",
        "ai llm llms language chatbot chatbots chatgpt gpt virtual digital automated reading processing summarizing summarising analyzing "
        "analysing reads",
        "",
        r"\b(?:dear|attention|note (?:to|for)|hey|hello|important|message (?:to|for)|instructions? (?:to|for)|notice to)\b[\s:,!*-]{1,4}"
        r"(?:all |any |the |every |our |your )?(?:ai|llms?|(?:large )?language models?|(?:virtual|ai|digital) (?:assistants?|agents?)|"
        r"chatbots?|chatgpt|gpt)\b",
        r"\b(?:as|if you(?:'re| are)) an? (?:ai|llm|(?:large )?language model|chatbot|automated (?:agent|assistant)|ai \w+)\b",
        r"\b(?:ai|llm|language model|assistant|model|bot|agent)s? (?:reading|processing|summari[sz]ing|analy[sz]ing|that reads?|which reads?) "
        r"this\b",
    ),
    _pattern(
        "approval",
        "asks to approve, or to do without approval",
        "approve approved approves approval approvals confirmation permission genehmige genehmigen genehmigt genehmigung freigabe",
        "",
        r"\bapprove\w?\s+(?:\w+\s+){0,2}?(?:draft_\d+|drafts\b|pending \w+)",
        r"\bapprove\s+(?:this|it|them|everything|all)\s+(?:yourself|automatically|immediately|at once|without|silently|for me)\b",
        r"\b(?:don'?t|do not|never|no need to|without)\s+(?:ask|asking|wait|waiting)\s+for\s+(?:\w+\s+){0,3}?(?:approval|confirmation|permission)\b",
        r"\b(?:skip|bypass|circumvent|get around|evade)\s+(?:\w+\s+){0,3}?(?:approval|approvals|approval step|confirmation)\b",
        r"\bgenehmig\w{1,3}\s+(?:\w+\s+){0,3}?(?:entwurf|entwurfe|draft_\d+)\b|\bohne\s+(?:\w+\s+)?(?:genehmigung|freigabe)\s+(?:anleg|ausfuhr|buch|send)",
    ),
    _pattern(
        "tool-call",
        "has the shape of a call of a tool",
        " ".join(("jsonrpc tools arguments parameters input args invoke", *WRITES)),
        "<",
        r"</?(?:\w{1,10}:)?(?:tool_calls?|function_calls?|tool_use|invoke|tool_results?|function_results?)\b",
        r'"jsonrpc"\s*:\s*"2|"method"\s*:\s*"tools/call',
        r'"(?:tool|tool_name|function|name)"\s*:\s*"\w{1,60}"\s*,\s*"(?:arguments|parameters|input|args)"\s*:',
        rf"\b(?:call|invoke|execute|run|trigger)\s+(?:the\s+)?(?:tool\s+|function\s+)?[`'\"]?(?:{'|'.join(WRITES)})\b",
        r"\binvoke\s+(?:the\s+|your\s+)(?:\w+\s+)?(?:tool|function)\b",
    ),
    _pattern(
        "exfiltration",
        "asks to hand data to somebody, or carries it out in a link",
        "send forward upload exfiltrate transmit copy bcc conversation credentials password passwords secrets database list data",
        "![",
        r"!\[[^\]\n]{0,200}\]\(\s*<?\s*(?:https?:)?//",
        r"\b(?:send|forward|upload|exfiltrate|transmit|post|copy|e-?mail|bcc)\b.{0,50}?\b(?:conversation|chat history|customer (?:list|data|records|"
        r"database)|all (?:the |of the |our |your )?(?:data|records|customers|contacts|e-?mails|invoices)|credentials|passwords?|api[ _-]?keys?|secrets|"
        r"access tokens?|system prompt|contents of (?:this|the))\b.{0,60}?(?:https?://|\b[\w.+-]{1,60}@[\w-]{1,60}\.)",
    ),
    _pattern(
        "markup",
        "holds a script or other active markup",
        "javascript vbscript srcdoc html onerror onload onclick onfocus onfocusin ontoggle onbegin onmouseover onmouseenter onmousemove "
        "onmousedown onmouseup onmouseout onpointerover onpointerenter onpointerdown",
        "<",
        r"<\s*/?\s*(?:script|iframe|object|embed|svg|base|meta|applet|frameset)\b",
        r"\bon(?:error|load|click|mouse\w{2,6}|focus\w{0,2}|toggle|begin|pointer\w{2,6})\s*=",
        r"(?:java|vb)script\s*:|data:text/html|\bsrcdoc\s*=",
    ),
    _pattern(
        "marks",
        "imitates the marks between which texts stand",
        "untrusted",
        "< ---",
        r"\b(?:begin|end)\s+(?:of\s+)?untrusted\b|</?untrusted\b",
        r"-{3,}\s*(?:begin|end)\s+[a-z ]{3,40}-{3,}",
        r"</(?:document|context|data|search_results?|user_input)\s*>",
    ),
    _pattern(
        "secrecy",
        "asks to keep something from the person",
        "user human operator benutzer nutzer",
        "",
        r"\b(?:don'?t|do not|never|without)\s+(?:tell|telling|mention|mentioning|inform|informing|reveal|revealing|notify|notifying|alert|alerting|"
        r"show|showing|say)\b.{0,40}?\b(?:the|your|any|to|this)\s+(?:\w+ )?(?:user|human|operator)\b",
        r"\b(?:sag|sage|erwahne|verrate)\b.{0,40}?\b(?:benutzer|nutzer)\b.{0,20}?\bnicht",
    ),
    _pattern(
        "steering",
        "says how an answer should be written",
        "your",
        "",
        r"(?:^|[.!?:\"'])\s{0,3}(?:add|append|insert|integrate|modify|augment|enhance|replace|convert|render|misspell|scramble|jumble|anagram|substitute|rearrange|remove|"
        r"rephrase|translate|introduce|group|combine)\b.{0,120}?\byour (?:response|answer|reply|message|output|summary)(?:'s)?\b",
        r"\b(?:provide|render|give|write) your (?:response|answer|reply)\s+(?:using|with|without|in|as|by)\b",
        r"\byour (?:response|answer|reply|output|summary)\s+(?:must|should|shall|has to|needs to)\s+(?:\w+\s+)?(?:begin|start|end|contain|include|be|say)\b",
        r"^in your (?:response|answer|reply|message)\b.{0,40}?\b(?:suggest|tease|mention|recommend|include|claim|say)\b",
    ),
)
NAMES = {pattern.name: pattern.meaning for pattern in PATTERNS} | {
    "encoded": "holds such a text in Base64",
    "unicode-tags": "holds text in characters that nobody sees",
    "bidi": "turns the direction in which text is shown",
    "hidden-characters": "holds characters that nobody sees",
}
"""Every name that a flag may bear, with what is said of such a text: it …"""
