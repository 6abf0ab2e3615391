"""What the pages of collections say: documents, versions, and what a question finds."""

from __future__ import annotations

from collections.abc import Mapping

#: Key: English, Turkish.
COLLECTIONS: Mapping[str, tuple[str, str]] = {
    "collections": ("Collections", "Koleksiyonlar"),
    "collection": ("Collection", "Koleksiyon"),
    "no_collections": ("No collection yet", "Henüz koleksiyon yok"),
    "no_collections_lead": (
        "A collection is what answers are looked for in. Fill the first one:",
        "Koleksiyon, yanıtların arandığı yerdir. İlkini doldurun:",
    ),
    "documents": ("Documents", "Belgeler"),
    "document": ("Document", "Belge"),
    "quarantined": ("Quarantined", "Karantinada"),
    "chunks": ("Passages", "Parçalar"),
    "version": ("Version", "Sürüm"),
    "versions": ("Versions", "Sürümler"),
    "vectors": ("Vectors", "Vektörler"),
    "engine": ("Index", "Dizin"),
    "chunking": ("Cut", "Bölme"),
    "published": ("Published", "Yayımlanma"),
    "languages": ("Languages", "Diller"),
    "collection_fresh": ("up to date", "güncel"),
    "collection_behind": ("behind its documents", "belgelerin gerisinde"),
    "collection_empty": ("nothing published", "yayımlanmadı"),
    "version_building": ("being built", "kuruluyor"),
    "version_ready": ("ready", "hazır"),
    "version_active": ("searched", "aranıyor"),
    "version_retired": ("given up", "bırakıldı"),
    "declared_lead": (
        "Its settings stand in santral.toml.",
        "Ayarları santral.toml içinde.",
    ),
    "made_by_api": (
        "Its settings are kept here: santral collections set changes them.",
        "Ayarları burada tutulur: santral collections set ile değişir.",
    ),
    "switch_to": ("Search this one", "Bunu ara"),
    "roll_back": ("Back to the one before", "Öncekine dön"),
    "versions_lead": (
        "Another way to cut or embed is built beside the one that is searched. Switching takes a "
        "moment, and so does going back.",
        "Başka bir bölme ya da gömme, aranan sürümün yanında kurulur. Geçiş de geri dönüş de bir an "
        "sürer.",
    ),
    "document_indexed": ("searched", "aranıyor"),
    "document_quarantined": ("quarantined", "karantinada"),
    "reason": ("Reason", "Neden"),
    "source": ("Source", "Kaynak"),
    "source_begins": ("Source begins with", "Kaynağın başı"),
    "no_documents": ("No such document", "Böyle bir belge yok"),
    "kind_of": ("Format", "Biçim"),
    "language_of": ("Language of it", "Dili"),
    "seen_by": ("Seen by", "Görenler"),
    "everybody": ("everybody who may search", "arama yetkisi olan herkes"),
    "lifecycle": ("Lifecycle", "Yaşam döngüsü"),
    "changed_at": ("Changed at its source", "Kaynağında değişme"),
    "expires": ("Expires", "Sona erme"),
    "address": ("Address", "Adres"),
    "repeats": ("Repeats", "Yinelediği"),
    "section": ("Section", "Bölüm"),
    "pages_of": ("Page", "Sayfa"),
    "characters": ("Characters", "Karakterler"),
    "first_page": ("From the beginning", "Baştan"),
    "next_page": ("Next", "Sonraki"),
    "no_chunks": (
        "No passage of it is searched.",
        "Hiçbir parçası aranmıyor.",
    ),
    "search": ("Search", "Ara"),
    "question": ("Question", "Soru"),
    "as_groups": (
        "As a member of the groups (empty: everything)",
        "Şu grupların üyesi olarak (boş: her şey)",
    ),
    "side": ("Settings {side}", "Ayarlar {side}"),
    "weight_bm25": ("Words", "Sözcükler"),
    "weight_ngrams": ("Pieces of words", "Sözcük parçaları"),
    "weight_dense": ("Vectors", "Vektörler"),
    "rerank": ("Rerank", "Yeniden sırala"),
    "diversity": ("Diversity", "Çeşitlilik"),
    "weights_lead": (
        "Empty fields: as the collection is set. Weights from 0 to 1.",
        "Boş alanlar: koleksiyondaki gibi. Ağırlıklar 0 ile 1 arası.",
    ),
    "search_noted": (
        "That you searched here, and which documents you saw, is noted in the audit log; the question "
        "is not.",
        "Burada arama yaptığınız ve hangi belgeleri gördüğünüz denetim günlüğüne yazılır; soru "
        "yazılmaz.",
    ),
    "support": ("Support", "Destek"),
    "score": ("Score", "Puan"),
    "nothing_found": ("Nothing was found.", "Hiçbir şey bulunamadı."),
    "asked_as": ("Asked as", "Şöyle soruldu"),
    "took": ("Took", "Sürdü"),
    "search_away": (
        "This console cannot search. Use santral search on the command line.",
        "Bu konsol arayamıyor. Komut satırında santral search kullanın.",
    ),
}
