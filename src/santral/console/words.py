"""What the console says, in English and Turkish: one catalogue, and the choice of the language."""

from __future__ import annotations

from collections.abc import Mapping

from santral.console.administration_words import ADMINISTRATION
from santral.console.collection_words import COLLECTIONS
from santral.console.dataset_words import DATASETS
from santral.console.eval_words import EVALS
from santral.console.experiment_words import EXPERIMENTS
from santral.console.monitor_words import MONITORS
from santral.console.prompt_words import PROMPTS
from santral.console.review_words import REVIEW
from santral.traces.readable import dollars, duration, tokens

LANGUAGES = ("en", "tr")

#: Key: English, Turkish. The pages on which people administer have a catalogue of their own.
WORDS: Mapping[str, tuple[str, str]] = {
    # frame
    "skip": ("Skip to content", "İçeriğe geç"),
    "overview": ("Overview", "Genel bakış"),
    "traces": ("Traces", "İzler"),
    "api": ("API", "API"),
    "sign_out": ("Sign out", "Çıkış yap"),
    "language": ("Language", "Dil"),
    "main_menu": ("Main menu", "Ana menü"),
    # sign-in
    "sign_in": ("Sign in", "Giriş yap"),
    "sign_in_lead": (
        "Enter an admin key. The first start of santral serve showed one.",
        "Bir yönetici anahtarı girin. santral serve ilk açılışta bir tane gösterdi.",
    ),
    "admin_key": ("Admin key", "Yönetici anahtarı"),
    "sign_in_lost": ("Lost it? Make another:", "Kayıp mı? Yenisini oluşturun:"),
    # windows
    "window": ("Window", "Zaman aralığı"),
    "w1h": ("Last hour", "Son saat"),
    "w24h": ("Last 24 hours", "Son 24 saat"),
    "w7d": ("Last 7 days", "Son 7 gün"),
    "w30d": ("Last 30 days", "Son 30 gün"),
    # models that end
    "models_end": ("Models that end soon", "Yakında kapanacak modeller"),
    "model_ends_on": ("ends on", "kapanış"),
    "routes_of_it": ("routes", "rotalar"),
    # signals
    "latency": ("Latency", "Gecikme"),
    "cost": ("Cost", "Maliyet"),
    "quality": ("Quality", "Kalite"),
    "safety": ("Safety", "Güvenlik"),
    "requests": ("Requests", "İstekler"),
    "requests_n": ("requests", "istek"),
    "errors": ("Errors", "Hatalar"),
    "succeeded": ("Succeeded", "Başarılı"),
    "ttft": ("First token", "İlk token"),
    "end_to_end": ("End to end", "Uçtan uca"),
    "overhead": ("Added by Santral", "Santral'ın eklediği"),
    "from_cache": ("From the cache", "Önbellekten"),
    "median": ("median", "ortanca"),
    "few": (
        "fewer than 30: too few for tail percentiles",
        "30'dan az: uç yüzdelikler için yetersiz",
    ),
    "spent": ("Spent", "Harcanan"),
    "tokens": ("Tokens", "Tokenlar"),
    "unknown_price": ("Price unknown", "Fiyatı bilinmiyor"),
    "estimated": ("Usage estimated", "Tahmini kullanım"),
    "input_uncached": ("Input", "Girdi"),
    "cache_read": ("Input, cached", "Girdi, önbellekli"),
    "cache_write": ("Cache written", "Önbelleğe yazılan"),
    "output_text": ("Output", "Çıktı"),
    "reasoning": ("Reasoning", "Akıl yürütme"),
    "cache_write_1h": ("Cache written, for an hour", "Önbelleğe yazılan, bir saatlik"),
    "input_audio": ("Input, audio", "Girdi, ses"),
    "input_image": ("Input, images", "Girdi, görüntü"),
    "output_audio": ("Output, audio", "Çıktı, ses"),
    "output_image": ("Output, images", "Çıktı, görüntü"),
    "error_rate": ("Failed", "Başarısız"),
    "degraded": ("Answered by the last resort", "Son çareyle yanıtlanan"),
    "cancelled": ("Caller left", "İstemci ayrıldı"),
    "cache_hits": ("Cache hits", "Önbellek isabeti"),
    "saved_by_cache": ("Saved by caches", "Önbelleğin tasarrufu"),
    "cache_entry": ("Cache entry", "Önbellek kaydı"),
    "cache_similarity": ("Similarity", "Benzerlik"),
    "schema": ("Schema kept", "Şemaya uyan"),
    "citations": ("Citations sound", "Atıfları sağlam"),
    "finish": ("How answers ended", "Yanıtlar nasıl bitti"),
    "refused_by_guardrail": ("Refused by a guardrail", "Koruma kuralının reddettiği"),
    "refused_by_model": ("Refused by the model", "Modelin reddettiği"),
    "refused_by_provider": ("Filtered by the provider", "Sağlayıcının süzdüğü"),
    "pii_masked": ("Personal data masked", "Maskelenen kişisel veri"),
    "injections": ("Injections blocked", "Engellenen enjeksiyon"),
    "check_failures": ("Checks that broke", "Bozulan denetim"),
    "failed_open": ("of these let through", "bunlardan geçirilen"),
    "in_requests": ("in {n} requests", "{n} istekte"),
    "of_n": ("of {n}", "{n} içinde"),
    "over_time": ("Requests over time", "Zamana göre istekler"),
    "latency_over_time": ("Latency over time", "Zamana göre gecikme"),
    "p50_p95": ("median to 95th percentile", "ortancadan 95. yüzdeliğe"),
    "by_route": ("By route", "Rotaya göre"),
    "by_tenant": ("By tenant", "Kiracıya göre"),
    "latest": ("Latest traces", "Son izler"),
    "all_traces": ("All traces", "Tüm izler"),
    "counted_how": ("How this is counted", "Nasıl sayılıyor"),
    "exclusion_latency": (
        "Latency leaves out failed and cancelled requests and cache hits; cache hits have a line of "
        "their own, requests that shared a call have none. Percentiles are taken over the requests themselves (nearest rank).",
        "Gecikme, başarısız ve yarıda bırakılan istekleri ve önbellek isabetlerini saymaz; "
        "isabetlerin ayrı satırı vardır, ortak çağrıdan yanıt alanların yoktur. Yüzdelikler isteklerin kendisinden alınır (en yakın sıra).",
    ),
    "exclusion_cost": (
        "Requests whose price is unknown add no money to the sum; their share is shown.",
        "Fiyatı bilinmeyen istekler toplama para eklemez; payları gösterilir.",
    ),
    "exclusion_window": (
        "A request belongs to the window in which it began, for all four signals alike.",
        "Bir istek, başladığı zaman aralığına aittir; dört gösterge için de böyledir.",
    ),
    # empty states
    "empty_title": ("No requests yet", "Henüz istek yok"),
    "empty_window_title": ("Nothing in this window", "Bu aralıkta bir şey yok"),
    "empty_lead": (
        "Send the first one through the gateway; it appears here within two seconds.",
        "İlkini ağ geçidinden gönderin; iki saniye içinde burada görünür.",
    ),
    "empty_key": ("Make a key for an application", "Bir uygulama için anahtar oluşturun"),
    "empty_ask": ("Ask something", "Bir şey sorun"),
    "empty_ingest": (
        "Give it documents to answer from (optional)",
        "Yanıtların dayanacağı belgeleri verin (isteğe bağlı)",
    ),
    "empty_filter": (
        "No trace matches. Take a filter away, or look further back.",
        "Eşleşen iz yok. Bir süzgeci kaldırın ya da daha geriye bakın.",
    ),
    # list
    "filter": ("Filter", "Süz"),
    "clear": ("Clear", "Temizle"),
    "any": ("any", "hepsi"),
    "route": ("Route", "Rota"),
    "tenant": ("Tenant", "Kiracı"),
    "status": ("Status", "Durum"),
    "error_code": ("Error code", "Hata kodu"),
    "find": ("Open a trace by its id", "Kimliğiyle bir iz açın"),
    "open": ("Open", "Aç"),
    "time": ("Time", "Zaman"),
    "trace": ("Trace", "İz"),
    "duration": ("Duration", "Süre"),
    "model": ("Deployment", "Dağıtım"),
    "cache": ("Cache", "Önbellek"),
    "older": ("Older", "Daha eski"),
    "newest": ("Newest", "En yeni"),
    "keys_hint": (
        "Keys: j and k move, Enter opens, / goes to the filter",
        "Tuşlar: j ve k gezer, Enter açar, / süzgece gider",
    ),
    # one trace
    "facts": ("Facts", "Künye"),
    "request_id": ("Request", "İstek"),
    "key": ("Key", "Anahtar"),
    "call": ("Call", "Çağrı"),
    "stream": ("stream", "akış"),
    "whole": ("whole", "bütün"),
    "finished": ("Finished", "Bitiş"),
    "prompt": ("Prompt", "İstem"),
    "experiment": ("Experiment", "Deney"),
    "session": ("Session", "Oturum"),
    "user": ("User", "Kullanıcı"),
    "config": ("Configuration", "Yapılandırma"),
    "callers_trace": ("Caller's trace", "Çağıranın izi"),
    "price_version": ("Prices of", "Fiyat listesi"),
    "timeline": ("Timeline", "Zaman çizelgesi"),
    "step": ("Step", "Adım"),
    "start": ("Start", "Başlangıç"),
    "takes": ("Takes", "Sürer"),
    "attempt": ("attempt", "deneme"),
    "first_token_mark": ("dashed line: first token", "kesikli çizgi: ilk token"),
    "showing_spans": ("Showing {a} of {b} steps", "{b} adımın {a} tanesi gösteriliyor"),
    "conversation": ("Conversation", "Konuşma"),
    "as_sent": (
        "As the model got it, after the input checks",
        "Girdi denetimlerinden sonra, modele gittiği gibi",
    ),
    "answer": ("answer", "yanıt"),
    "no_payload": (
        "The texts were not kept: the settings keep none, or the request was refused before its "
        "checks were done.",
        "Metinler saklanmadı: ayarlar saklamıyor ya da istek denetimleri bitmeden reddedildi.",
    ),
    "sources": ("Retrieved passages", "Getirilen parçalar"),
    "cited": ("cited", "atıf yapıldı"),
    "page": ("p.", "s."),
    "rated_by_users": ("Rated by users", "Kullanıcıların puanladığı"),
    "thumbs_up": ("Thumbs up", "Beğenilen"),
    "scores": ("Scores", "Puanlar"),
    "scored": ("What", "Ne"),
    "score_value": ("Value", "Değer"),
    "scored_by": ("Said by", "Söyleyen"),
    "said_of_it": ("In words", "Sözle"),
    "verdicts": ("Guardrail verdicts", "Koruma kararları"),
    "place": ("Place", "Yer"),
    "check": ("Check", "Denetim"),
    "verdict": ("Verdict", "Karar"),
    "action": ("Action", "Eylem"),
    "attempts": ("Attempts", "Denemeler"),
    "purpose_retry": ("retry", "yeniden deneme"),
    "purpose_fallback": ("fallback", "yedek"),
    "purpose_hedge": ("hedge", "koruma denemesi"),
    "purpose_last_resort": ("last resort", "son çare"),
    "purpose_shadow": ("shadow", "gölge"),
    "purpose_embed": ("question's vector", "sorunun vektörü"),
    "losses": ("Lost on the way", "Yolda kalanlar"),
    "losses_note": (
        "Parameters that the provider did not get, or got changed",
        "Sağlayıcıya ulaşmayan ya da değişerek ulaşan parametreler",
    ),
    "decision": ("How it was routed", "Nasıl yönlendirildi"),
    "cost_breakdown": ("Tokens and cost", "Tokenlar ve maliyet"),
    "total": ("Total", "Toplam"),
    "raw": ("Raw record", "Ham kayıt"),
    "same_caller": ("Same caller's trace", "Çağıranın aynı izi"),
    "back": ("Back to the list", "Listeye dön"),
    "copy": ("Copy id", "Kimliği kopyala"),
    "copied": ("Copied", "Kopyalandı"),
    # the admin API
    "api_title": ("Admin API", "Yönetim API'si"),
    "api_lead": (
        "Every endpoint wants an admin key, as authorization: Bearer … or as x-api-key. An error "
        "answers with OpenAI's shape: error.message says what to do, error.code is stable.",
        "Her uç nokta bir yönetici anahtarı ister: authorization: Bearer … ya da x-api-key. "
        "Hatalar OpenAI biçimindedir: error.message ne yapılacağını söyler, error.code değişmez.",
    ),
    "api_download": ("OpenAPI document", "OpenAPI belgesi"),
    "in_path": ("In the path", "Yolda"),
    "in_query": ("In the query", "Sorguda"),
    "in_header": ("In the headers", "Başlıklarda"),
    "in_body": ("JSON body", "JSON gövdesi"),
    "field": ("Field", "Alan"),
    "fields": ("Fields", "Alanlar"),
    "type": ("Type", "Tür"),
    "meaning": ("Meaning", "Anlamı"),
    "required": ("required", "zorunlu"),
    "default_is": ("default", "varsayılan"),
    "answers": ("Answers", "Yanıt"),
    "objects": ("Objects in answers", "Yanıtlardaki nesneler"),
    # errors
    "not_found": ("Not found", "Bulunamadı"),
    "went_wrong": ("That did not work", "Olmadı"),
    "home": ("Go to the overview", "Genel bakışa git"),
    "unavailable": (
        "Something that this page needs cannot be reached now.",
        "Bu sayfanın gerek duyduğu bir şeye şu anda ulaşılamıyor.",
    ),
    **ADMINISTRATION,
    **COLLECTIONS,
    **EXPERIMENTS,
    **DATASETS,
    **PROMPTS,
    **REVIEW,
    **MONITORS,
    **EVALS,
}


class Words:
    """The catalogue in one language: ``words("traces")``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        text = WORDS[key][self._column]
        return text.format(**values) if values else text

    def small(self, key: str) -> str:
        """Return a text to stand inside a sentence: Turkish has two letters i."""
        text = self(key)
        if self.language == "tr":
            text = text.replace("İ", "i").replace("I", "ı")
        return text.lower()

    def number(self, text: str) -> str:
        """Return a number as this language writes it: Turkish changes point and comma."""
        return text.translate(_TURKISH) if self.language == "tr" else text

    def count(self, n: int) -> str:
        return self.number(f"{n:,}")

    def duration(self, us: int | None) -> str:
        return self.number(duration(us)) if us is not None else NOTHING

    def dollars(self, nanousd: int | None) -> str:
        return self.number(dollars(nanousd)) if nanousd is not None else NOTHING

    def tokens(self, given: int | None, made: int | None) -> str:
        return self.number(tokens(given, made)) if given is not None else NOTHING

    def share(self, part: int, whole: int) -> str:
        """Return a percentage; a dash where there is nothing to take it of."""
        if not whole:
            return NOTHING
        percent = part * 100 / whole
        is_plain = part in (0, whole) or 10 <= percent < 99
        text = f"{percent:.0f}" if is_plain else f"{percent:.1f}"
        return f"%{self.number(text)}" if self.language == "tr" else f"{text} %"


#: What stands where there is nothing to show.
NOTHING = "–"
_TURKISH = str.maketrans(".,", ",.")


def choose_language(asked: str, kept: str, accepted: str) -> str:
    """Return the language of a page: asked for in its address, kept in a cookie, or accepted."""
    for choice in (asked, kept):
        if choice in LANGUAGES:
            return choice
    ranked = sorted(map(_preference, accepted[:200].split(",")), reverse=True)
    return next((name for weight, name in ranked if weight > 0 and name in LANGUAGES), LANGUAGES[0])


def _preference(item: str) -> tuple[float, str]:
    """Return weight and primary language of one item of Accept-Language."""
    name, _, weight = item.strip().partition(";q=")
    try:
        return float(weight or 1), name.partition("-")[0].lower()
    except ValueError:
        return 0.0, ""
