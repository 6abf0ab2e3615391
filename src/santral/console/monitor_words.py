"""What the pages of monitors say."""

from __future__ import annotations

from collections.abc import Mapping

#: Key: English, Turkish.
MONITORS: Mapping[str, tuple[str, str]] = {
    "monitors": ("Monitors", "İzleyiciler"),
    "monitor": ("Monitor", "İzleyici"),
    "no_monitors": ("Nothing is watched yet", "Henüz hiçbir şey izlenmiyor"),
    "no_monitors_lead": (
        "A monitor compares the requests of now with those of before, and says when what is asked or "
        "answered has become something else. Make the first one:",
        "İzleyici, şimdiki istekleri öncekilerle karşılaştırır; sorulan ya da yanıtlanan başka bir "
        "şeye dönüştüğünde bunu söyler. İlkini oluşturun:",
    ),
    "new_monitor": ("Another monitor", "Yeni izleyici"),
    "signals_watched": ("Watches", "İzlenenler"),
    "monitor_signal": ("Signal", "Sinyal"),
    "monitor_suspects": ("Suspected", "Şüpheli"),
    "next_look": ("Next look", "Sonraki bakış"),
    "rests": ("rests", "duraklatıldı"),
    "window_hours": ("Window of now, hours", "Şimdiki pencere, saat"),
    "every_hours": ("Looks every, hours", "Bakış aralığı, saat"),
    "reference_days": ("Window of before, days", "Önceki pencere, gün"),
    "monitor_until": ("until", "bitiş"),
    "look_now": ("Look now", "Şimdi bak"),
    "let_rest": ("Pause", "Duraklat"),
    "go_on": ("Go on", "Sürdür"),
    "no_findings": ("It has not looked yet", "Henüz bakmadı"),
    "no_findings_lead": (
        "The control process looks within seconds; where none runs:",
        "Kontrol süreci saniyeler içinde bakar; çalışmıyorsa:",
    ),
    "latest_look": ("Latest look", "Son bakış"),
    "earlier_looks": ("Earlier looks", "Önceki bakışlar"),
    "looked_lead": ("Compared, before and now:", "Karşılaştırılan, önce ve şimdi:"),
    "tests_corrected": (
        "tests were corrected for, those of other monitors too",
        "test için düzeltme yapıldı, diğer izleyicilerinkiler dahil",
    ),
    "monitor_verdict": ("Verdict", "Hüküm"),
    "verdict_drift": ("drift", "kayma"),
    "verdict_suspect": ("suspect", "şüpheli"),
    "verdict_steady": ("steady", "kararlı"),
    "verdict_not_enough_data": ("not enough data", "yeterli veri yok"),
    "monitor_effect": ("Effect", "Etki"),
    "monitor_before": ("Before", "Önce"),
    "monitor_now": ("Now", "Şimdi"),
    "monitor_where": ("Where", "Nerede"),
    "monitor_exemplars": ("See for yourself", "Örnekler"),
    "monitor_least": ("at least", "en az"),
}
