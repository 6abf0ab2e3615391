"""Rules against prompt injection, English and Turkish, over plain views: a name, why, a pattern.

Written in ASCII: the views fold Turkish letters, so ``talimatları`` reads ``talimatlari``. Rules of
the form ``a & b`` need both patterns somewhere in the text. What they catch and what they cry wolf
about is measured in docs/decisions/0006-guardrails.md.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from santral.guardrails.patterns import any_of

Category = Literal["override", "prompt_leak", "role_play", "exfiltration", "delimiter"]
CATEGORIES: Final[tuple[Category, ...]] = (
    "override",
    "prompt_leak",
    "role_play",
    "exfiltration",
    "delimiter",
)


class Rule(Struct, frozen=True):
    """Why a text is suspect: when all ``needs`` (names of patterns) hit."""

    category: Category
    reason: str
    needs: tuple[str, ...]


# --- English -----------------------------------------------------------------------------------

_DROP = any_of(
    (
        r"ignor(?:e|ing)",
        r"disregard(?:ing)?",
        r"forget",
        r"overrid(?:e|ing)",
        r"bypass",
        r"neglect",
        r"discard",
        r"overlook",
        r"erase",
        r"dismiss",
        r"omit",
        r"skip",
        r"(?:do not|don'?t|never|stop|quit) (?:follow|obey|adher|comply)\w*(?: (?:to|with))?",
        r"pay no attention to",
        r"set aside",
        r"leave behind",
        r"clear",
    )
)
_BEFORE = any_of(
    (
        r"previous(?:ly)?",
        r"prior",
        r"preceding",
        r"above",
        r"earlier",
        r"foregoing",
        r"initial",
        r"original",
        r"existing",
        r"former",
        r"past",
        r"old",
        r"system",
        r"aforementioned",
        r"given",
        r"developer'?s?",
        r"openai'?s?",
        r"your(?: (?:own|previous|prior|initial|original|system|earlier))?",
    )
)
_ORDERS = any_of(
    (
        r"instructions?",
        r"prompts?",
        r"rules?",
        r"guidelines?",
        r"directions?",
        r"directives?",
        r"commands?",
        r"orders?",
        r"tasks?",
        r"assignments?",
        r"restrictions?",
        r"polic(?:y|ies)",
        r"constraints?",
        r"training",
        r"programming",
        r"messages?",
        r"context",
        r"conversations?",
        r"statements?",
        r"limitations?",
        r"safeguards?",
        r"instruct\w*",
    )
)
_FILL = (
    r"(?:(?:all|any|every|everything|each|the|of|my|your|our|these|those|this|that|about|to|and|or"
    r"|completely|please|now|just|entire|whole|other|what|i|you|we|have|has|been|were|was|told|said"
    r"|gave|given|it|in|from|anything|into|account|both|any of)\W{1,4})"
)
_PERSONA = (
    r"(?i)\b(?:pretend|act(?:ing)? (?:as|like)|role-?play|you(?:'re| are) (?:now|going to)|you will (?:act|be|play"
    r"|pretend|respond|now|answer|take)|from now on|imagine (?:you|that you)|simulate|simulation|in character"
    r"|hypothetical|respond as|answer as|immerse|you are an? (?:ai|unfiltered|uncensored|evil)|persona\b|alter ego"
    r"|play the (?:role|part)|take on the role|your new (?:name|role|identity)|character named|jailbr(?:eak|oken))"
)
_UNBOUND = (
    r"(?i)\b(?:no|without|free (?:from|of)|(?:not|isn'?t|aren'?t|never) (?:\w+ )?(?:bound|restricted|limited|constrained)"
    r" (?:by|to)|ignor(?:e|es|ing)|bypass(?:es|ing)?|does ?n[o']t (?:have|care about|follow|obey)|do ?n[o']t have"
    r"|broken free (?:of|from)|disregard(?:s|ing)?|lacks?|regardless of|not follow|doesn't follow|overrid\w+|removed?"
    r"|disabl\w+|turn(?:ed)? off)\W{1,3}"
    r"(?:(?:all|any|the|these|those|your|its|his|her|their|typical|usual|of|or|and|ethical|moral|morals|ethics|legal"
    r"|content|safety|openai'?s?|chatgpt'?s?|sort|kind|such|other|set|programming|confines|built-in|ai|normal)\W{1,3}){0,7}"
    r"(?:restrictions?|limitations?|limits|filters?|filtering|guidelines?|polic(?:y|ies)|censorship|confines|rules"
    r"|boundaries|constraints|safeguards?|morals?|morality|ethics|principles|programming|legality|consequences|disclaimers?)\b"
)

_ENGLISH: Final = {
    "drop_orders": rf"(?i)\b{_DROP}\W{{1,4}}{_FILL}{{0,6}}{_BEFORE}\W{{1,4}}{_FILL}?(?:\w{{2,14}}\W{{1,3}})?{_ORDERS}\b",
    "drop_orders_given": rf"(?i)\b{_DROP}\W{{1,4}}{_FILL}{{0,5}}{_ORDERS}\W{{1,3}}{_FILL}{{0,6}}"
    r"(?:above|before|earlier|previous(?:ly)?|prior|so far|until now|up to now|provided|given|received|gave|told)\b",
    "drop_everything": r"(?i)\b(?:forget|disregard|delete|erase|ignore)\W{1,4}(?:(?:about|absolutely|literally)\W{1,3})?"
    r"(?:everything|all(?: that)?|anything|what(?:ever)?)\W{1,4}(?:(?:that|which|you|i|we|was|were|is|have|has|had|been"
    r"|the|of|up|to|from|it|just|ever|came|comes|and|in|this|stuff|assignments?)\W{1,3}){0,6}"
    r"(?:above|before|previous(?:ly)?|prior|earlier|so far|until now|till now|instruct\w*|learn\w*|told|said|wrote|written"
    r"|know|knew|taught|mentioned|discussed|talked|point|conversation|happened)\b",
    "drop_and_go": r"(?i)\b(?:forget|ignore|disregard)\W{1,3}(?:about )?(?:everything|all|it all|(?:the )?above)\b\W{0,4}(?:and\b|now\b|write|say|tell|print|answer|output\b|start|you are|let'?s|instead|then\b|from now)",
    "new_orders": r"(?i)\b(?:focus on|concentrate on|here (?:is|are|comes?)|follow|execute|obey|switch to|start|begin with|move on to|these are)"
    r"\W{1,3}(?:(?:only|now|just|the|my|your|our|a|an|these|following|instead|with)\W{1,3}){0,4}(?:new|next|real|actual|true|updated|main|different)\W{1,3}"
    r"(?:system\W)?(?:instructions?|tasks?|rules?|prompts?|assignments?|orders?|objectives?|job|challenge)\b",
    "instead_orders": r"(?i)\b(?:new|updated|real) (?:system )?(?:instructions?|prompts?|directives?)(?:\W{0,2}[:=]| (?:now )?follow\b)",
    "not_an_assistant": r"(?i)\byou are (?:no longer|not) (?:an? )?(?:ai|assistant|chatgpt|chat ?bot|bot|bound|language model|gpt|claude)\b",
    "ask_for_prompt": r"(?i)\b(?:show|reveal|print|display|repeat|output|tell|give|write|share|expose|leak|list|return|recite|provide|say|see"
    r"|summari[sz]e|translate|copy|paste|dump|disclose|type|spell|send|complete|what(?:'s| is| are| was| were))\W{1,3}(?:(?:me|us|out|back"
    r"|down|all|the|of|your|you|exact|full|entire|complete|whole|text|contents?|verbatim|to|again|know|about|in|own|actual|copy|"
    r"everything|were|was|that|given)\W{1,3}){0,7}"
    r"(?:(?:system|initial|original|hidden|secret|developer|base|internal|underlying|pre-?|confidential|starting|previous|first|earlier)\W{0,3}"
    r"(?:prompts?|instructions?|directives?|system messages?|messages? (?:from|of) the (?:system|developer)|guidelines)|all (?:your )?prompts?(?: texts?)?"
    r"|your (?:\w{3,12} )?(?:instructions|(?:exact |full |entire |own |whole )prompt|prompt texts?|guidelines and|directives|system prompt)|prompt texts?|instructions (?:you (?:were|got|have|received)|above|verbatim))\b",
    "ask_for_your_prompt": r"(?i)\b(?:show|reveal|print|display|repeat|output|leak|expose|what(?:'s| is| was))\W{1,3}(?:(?:me|us|out|back|all|of)\W{1,3}){0,3}your (?:initial |first |own )?prompt\b",
    "repeat_above": r"(?i)\b(?:repeat|print|output|echo|copy|recite|spell|write|say|return)\W{1,3}(?:(?:back|all|the|of|everything|every|each|exact|"
    r"word|words|text|sentences?|phrase|lines?|that|is|are|was|came|me|out|verbatim|for|previous|content|instructions?|written|it|stands?)\W{1,3}){1,8}"
    r"(?:above|before this|preceding|verbatim|previously given)\b",
    "do_anything_now": r"(?i)do anything now|\b(?:chatgpt|gpt|you).{0,3} (?:in )?(?:dan|jailbreak) mode|\bact as (?:a )?dan\b|(?-i:\bDAN(?: mode|'s|,| is| will| has| can|:|\)))|\bstay a dan\b",
    "developer_mode": r"(?i)developer mode (?:enabled|output|policy|v\d)|(?:chatgpt|gpt(?:-?[345])?|ai|assistant|llm|claude)\b.{0,12} (?:in|with|into|enter|enable) \W?developer mode",
    "jailbroken": r"(?i)\bjailbr(?:eak(?:ed|ing)?|oken)\W{1,3}(?:chat|gpt|ai|mode|prompt|version|bot|llm|model|response|response:|output)|\[jailbreak\]",
    "unfiltered": r"(?i)\b(?:unfiltered|uncensored|unrestricted|amoral|immoral|unethical|unhinged)\b(?:,? (?:and )?\w{2,14}){0,3} (?:ai|chat ?bot|gpt|model|assistant|version|responses?|answers?|language model|bot|character|mode|advice)\b",
    "never_refuse": r"(?i)\b(?:never|not allowed to|do not|don'?t|cannot|can'?t|must not|won'?t|always)\W{1,3}(?:ever\W)?(?:refuses?|say (?:no|that you can|you can'?t)|declines?|deny|denies|"
    r"include (?:any )?(?:warnings?|disclaimers?|moral)|mention (?:that )?(?:you are|ai|ethic|openai)|worry about (?:ethic|legal|moral))",
    "two_answers": r"(?i)\b(?:two|both|2) (?:different |separate )?(?:ways|responses|answers|paragraphs)\b.{0,80}(?:normal|standard|classic|regular|chatgpt|gpt)|\[gpt\]|\[classic\]",
    "persona": _PERSONA,
    "unbound": _UNBOUND,
    "send_secrets": r"(?i)\b(?:send|post|forward|e-?mail|upload|transmit|exfiltrate|leak|submit|append|include|encode)\W{1,3}(?:\w{1,16}\W{1,3}){0,6}"
    r"(?:conversation|chat (?:history|log)|chat|system prompt|instructions|passwords?|credentials?|api keys?|secrets?|tokens?|"
    r"user'?s? (?:data|information|details|name|e-?mail)|personal (?:data|information)|cookies?|environment variables?|history|previous messages?)\W{1,3}"
    r"(?:\w{1,16}\W{1,3}){0,5}(?:to|at|via|into|in)\W{1,3}(?:\w{1,12}\W{1,3}){0,4}(?:https?://|[\w.+\-]+@[\w\-]+\.|url\b|webhook|server|endpoint|address|link|image)",
    "image_with_data": r"(?i)!\[[^\]\n]{0,80}\]\(\s?https?://[^)\s]{1,200}[?&/=](?:[^)\s]{0,40})(?:\{|<|\$|%7b|\[|\.\.\.|your_|data|secret|password|conversation|history|summary|prompt)",
    "chat_template": r"(?i)<\|(?:im_(?:start|end|sep)|system|user|assistant|end ?of ?text|begin_of_text|start_header_id|end_header_id|eot_id|eom_id|end|endofprompt|fim_\w+)\|>"
    r"|(?-i:\[/?INST\])|<</?SYS>>|<(?:start|end)_of_turn>|<\|?/?system(?:_prompt|_message)?\|?>|\[/?system(?: (?:message|prompt))?\]|\(#(?:assistant|system)\)",
    "template_heading": r"(?i)(?:^|\n)[ \t]{0,4}#{2,4}[ \t]{0,2}(?:system|instructions?|new instructions?|end of (?:prompt|instructions?|context))[ \t]{0,2}:"
    r"|-{3,}\s?(?:end|begin) (?:of )?(?:system|prompt|context|instructions?|input)|(?:^|\n)[ \t]{0,4}system(?: (?:message|prompt|note|override|alert))?:[ \t]{0,3}(?:you|ignore|new|from|the (?:user|assistant)|override)",
}

# --- Turkish -----------------------------------------------------------------------------------

_TR_BEFORE = any_of(
    (
        r"onceki",
        r"yukarida(?:ki)?",
        r"ustteki",
        r"bundan once(?:ki)?",
        r"daha once(?:ki)?",
        r"evvelki",
        r"(?:sana|size) (?:verilen|verdigim|soylenen|yazilan|ogretilen|soyledigim)",
        r"(?:tum|butun|mevcut|eski|ilk|asil|varsayilan)",
        r"sistem",
        r"(?:buraya|simdiye|su ana|bugune) (?:kadar|dek)(?:ki)?",
        r"gelistiricinin",
    )
)
_TR_ORDERS = (
    r"(?:talimat|komut|yonerge|kural|direktif|prompt|promt|yonlendirme|istem(?:i|leri|ini)\b|emir|emr|kisitlama|sinirlama"
    r"|gorev|mesaj|soylen|soyledi|yazilan|konusma|konustu|ogren|ogret|bildi|anlat)\w{0,14}"
)
_TR_DROP = any_of(
    (
        r"yok ?say(?:in|iniz|arak|ip|man\w{0,6}|acaksin|malisin)?\b",
        r"unut(?:un|unuz|arak|up|man\w{0,6}|acaksin|malisin|sana|tur)?\b",
        r"(?:gormezden|duymazdan|bilmezden) gel(?:in|iniz|erek|ip|men\w{0,6}|meni)?\b",
        r"goz ?ardi (?:et|ed)(?:in|iniz|erek|ip|men\w{0,6})?\b",
        r"(?:dikkate|ciddiye|kaale|hesaba) al(?:ma|mayin|mayiniz|madan|mamani|mayarak)\b",
        r"bos ?ver(?:in|iniz|ip)?\b",
        r"(?:iptal|ihlal|ihmal|reset|reddet|red) ?(?:et|ed)?(?:in|iniz|erek|ip|men\w{0,6})?\b",
        r"(?:uyma|takma|izleme|uygulama|umursama|onemseme|itaat etme|takip etme|dinleme)(?:yin|yiniz|dan|yarak|yi birak|k zorunda degilsin)?\b",
        r"(?:pas|es|hice|gecersiz|sifir) (?:gec|say|kil)(?:in|iniz|erek|arak|ip|man\w{0,6})?\b",
        r"(?:cigne|sil|atla|sifirla|ez|as)(?:yin|in|yerek|erek|ip|yip)?\b",
        r"(?:bir kenara|devre disi) (?:birak|koy)(?:in|iniz|arak|ip)?\b",
        r"gecersiz(?:dir|lestir)?\b",
        r"disina cik(?:in|arak|ip)?\b",
    )
)
_TURKISH: Final = {
    "tr_drop_orders": rf"(?i)\b{_TR_BEFORE}(?:\W{{1,3}}\w{{1,16}}){{0,3}}\W{{1,3}}{_TR_ORDERS}(?:\W{{1,3}}\w{{1,16}}){{0,2}}\W{{1,3}}{_TR_DROP}",
    "tr_drop_first": rf"(?i)\b(?:unut|yok ?say|gormezden gel|bos ?ver|dikkate alma|goz ?ardi et)(?:in|iniz)?\W{{1,3}}(?:\w{{1,16}}\W{{1,3}}){{0,2}}{_TR_BEFORE}?\W{{0,3}}(?:\w{{1,16}}\W{{1,3}}){{0,2}}"
    r"(?:talimat|komut|yonerge|kural|direktif|prompt|yonlendirme|soylen|soyledi)\w{0,14}",
    "tr_drop_everything": r"(?i)\b(?:her ?seyi|hepsini|tumunu|bildiklerini|ogrendiklerini|(?:sana|size) (?:soylenen|ogretilen|verilen)\w{0,6}|(?:su ana|simdiye) kadar\w{0,3}(?:\W\w{1,14}){0,3})"
    r"\W{1,3}(?:\w{1,14}\W{1,3}){0,1}(?:unut|yok ?say|sil|gormezden gel|bos ?ver|dikkate alma)(?:un|in|unuz|iniz|up|arak|ip|mani|gel)?\b",
    "tr_new_orders": r"(?i)\b(?:yeni|gercek|asil) (?:talimat|gorev|komut|yonerge|kural|rol)(?:in|un|lar|ler|larin|lerin|imiz|im|iniz)?\b(?:\W{1,3}(?:su|sudur|bu|budur|sunlar|bunlar|artik)\b|\W{0,2}:)",
    "tr_ask_for_prompt": r"(?i)\b(?:sistem|gizli|ilk|baslangic|orijinal|yukaridaki|onceki|(?:sana|size) verilen|kendi|ic|tam|asil|varsayilan)\W{1,3}(?:\w{1,15}\W{1,3}){0,2}"
    r"(?:prompt|promt|istem(?:i|in|ini|ler\w{0,4})\b|talimat|komut|yonerge|direktif|yonlendirme)\w{0,14}\W{1,3}(?:\w{1,15}\W{1,3}){0,4}"
    r"(?:goster|yaz|soyle|paylas|acikla|ver\b|verir|listele|tekrar|dok\b|oku|cevir|ozetle|nedir|neler|ne\b|aktar|ifsa|kopyala|bildir|acik et|sirala|anlat)\w{0,10}",
    "tr_ask_what_told": r"(?i)\b(?:sana|size) (?:verilen|soylenen|yazilan|tanimlanan) (?:ilk |gizli |sistem |tum |butun )?(?:talimat|yonerge|komut|kural|prompt|mesaj)\w{0,10}\W{1,3}(?:\w{1,15}\W{1,3}){0,4}(?:goster|yaz|soyle|paylas|acikla|listele|tekrar|neler|nedir|aktar|kopyala|ver\b)",
    "tr_persona": r"(?i)\b(?:gibi (?:davran|konus|cevap|yanit|hareket)|rolunu|rol yap|rolune|rolunde|sen artik|artik sen|bundan (?:sonra|boyle)|simdiden itibaren|su andan itibaren|taklit et|taklidi|farz et"
    r"|canlandir|oyna|hayal et|rolundesin|karakter|kimligine burun|modunda|moduna)\w{0,10}",
    "tr_unbound": r"(?i)\b(?:kisitlama|sinirlama|kural|filtre|sansur|etik|ahlak|guvenlik|sinir|yasak|politika)\w{0,10}\W{1,3}(?:\w{1,15}\W{1,3}){0,3}(?:olmadan|olmaksizin|yok\b|olmayan|bagli degil\w*|tanimayan|tanimaz|tanimadan"
    r"|uymayan|uymadan|uymak zorunda degil\w*|kaldir\w*|devre disi|muaf|gecerli degil|takilmadan|umursamayan|umursamadan|onemli degil)|\b(?:kuralsiz|sansursuz|sinirsiz|filtresiz|kisitlamasiz|etik disi|ahlaksiz) (?:bir |yapay|cevap|yanit|model|asistan|bot|mod)",
    "tr_modes": r"(?i)\b(?:gelistirici|tanri|jailbreak|dan|kisitsiz|sinirsiz|sansursuz|hata ayiklama) mod(?:u|un|una|unu|unda|undasin)\b(?:\W{1,3}\w{1,12}){0,1}\W{1,3}(?:ac|aktif|etkin|gec|gir|calis|cevap|basla|ol)\w{0,8}|\bjailbreak (?:yap|ol|et)\w{0,6}|\bdan (?:ol|gibi|rolu|modu)\w{0,4}",
    "tr_send_secrets": r"(?i)\b(?:sohbet|konusma|sifre|parola|api anahtar|kullanici bilgi|kisisel (?:bilgi|veri)|sistem prompt|gizli bilgi|kimlik bilgi|gecmis|cerez|ortam degisken)\w{0,12}\W{1,3}(?:\w{1,15}\W{1,3}){0,4}"
    r"(?:https?://\S{1,100}|\S{1,40}@\S{1,40}|su adres\w{0,4}|bu adres\w{0,4}|sunucu\w{0,6}|webhook\w{0,4}|baglanti\w{0,4})\W{1,3}(?:\w{1,15}\W{1,3}){0,2}(?:gonder|ilet|yolla|aktar|postala|yukle|ekle)",
    "tr_not_assistant": r"(?i)\b(?:sen )?artik (?:bir )?(?:yapay zeka|asistan|chatgpt|bot|dil modeli)(?: asistani)? degilsin",
}
# German stands in for the rest: a fifth of the public attacks on chat products are in it.
_GERMAN: Final = {
    "de_drop_orders": r"(?i)\b(?:vergiss|ignorier(?:e|en sie)?|missachte|vernachlassige|uberspringe|vergessen sie)\W{1,3}(?:\w{1,16}\W{1,3}){0,4}(?:vorherig\w*|bisherig\w*|obig\w*|vorigen|fruheren|davor|alles|anweisung\w*|aufgabe\w*|befehl\w*|instruktion\w*|auftrag\w*)",
}

PATTERNS: Final[dict[str, str]] = _ENGLISH | _TURKISH | _GERMAN

#: Words run together, for texts whose letters were s p a c e d out evenly.
SQUASHED: Final[dict[str, str]] = {
    "squashed_drop": r"(?i)(?:ignore|disregard|forget|bypass|override)(?:all|any|the|your|of|my|these)*(?:previous|prior|above|earlier|system)?"
    r"(?:instruction|prompt|rule|guideline|direction|command)s?",
    "squashed_ask": r"(?i)(?:reveal|show|print|repeat|tell)(?:me|us|the|your|all|full|hidden|initial)*(?:systemprompt|systemmessage|instructions)",
    "squashed_mode": r"(?i)doanythingnow|developermodeenabled|jailbreakmode",
    "squashed_tr": r"(?i)(?:onceki|yukaridaki|tum|butun|sistem)+(?:talimat|komut|kural|yonerge)(?:lari|leri)?(?:ni)?(?:yoksay|unut|gormezdengel|dikkatealma|bosver)",
}

RULES: Final = (
    Rule("override", "tells the model to drop its instructions", ("drop_orders",)),
    Rule("override", "tells the model to drop its instructions", ("drop_orders_given",)),
    Rule("override", "tells the model to forget what came before", ("drop_everything",)),
    Rule("override", "tells the model to forget what came before", ("drop_and_go",)),
    Rule("override", "brings new instructions", ("new_orders",)),
    Rule("override", "brings new instructions", ("instead_orders",)),
    Rule("override", "tells the model to drop its instructions", ("tr_drop_orders",)),
    Rule("override", "tells the model to drop its instructions", ("tr_drop_first",)),
    Rule("override", "tells the model to forget what came before", ("tr_drop_everything",)),
    Rule("override", "brings new instructions", ("tr_new_orders",)),
    Rule("override", "tells the model to drop its instructions", ("de_drop_orders",)),
    Rule("override", "tells the model to drop its instructions", ("squashed_drop",)),
    Rule("override", "tells the model to drop its instructions", ("squashed_tr",)),
    Rule("prompt_leak", "asks for the system prompt", ("ask_for_prompt",)),
    Rule("prompt_leak", "asks for the system prompt", ("ask_for_your_prompt",)),
    Rule("prompt_leak", "asks to repeat the text above", ("repeat_above",)),
    Rule("prompt_leak", "asks for the system prompt", ("tr_ask_for_prompt",)),
    Rule("prompt_leak", "asks for the system prompt", ("tr_ask_what_told",)),
    Rule("prompt_leak", "asks for the system prompt", ("squashed_ask",)),
    Rule("role_play", "sets up a jailbreak persona", ("do_anything_now",)),
    Rule("role_play", "sets up a jailbreak persona", ("developer_mode",)),
    Rule("role_play", "sets up a jailbreak persona", ("jailbroken",)),
    Rule("role_play", "sets up a jailbreak persona", ("squashed_mode",)),
    Rule("role_play", "sets up an unfiltered persona", ("persona", "unfiltered")),
    Rule("role_play", "sets up a persona without rules", ("persona", "unbound")),
    Rule("role_play", "sets up a persona that never refuses", ("persona", "never_refuse")),
    Rule("role_play", "asks for a second, unfiltered answer", ("persona", "two_answers")),
    Rule("role_play", "tells the model that it is another", ("not_an_assistant",)),
    Rule("role_play", "sets up a persona without rules", ("tr_persona", "tr_unbound")),
    Rule("role_play", "sets up a jailbreak persona", ("tr_modes",)),
    Rule("role_play", "tells the model that it is another", ("tr_not_assistant",)),
    Rule("exfiltration", "asks to send data away", ("send_secrets",)),
    Rule("exfiltration", "asks to send data away", ("tr_send_secrets",)),
    Rule("exfiltration", "an image address that carries data", ("image_with_data",)),
    Rule("delimiter", "holds chat template tokens", ("chat_template",)),
    Rule("delimiter", "imitates the frame of a system prompt", ("template_heading",)),
)
