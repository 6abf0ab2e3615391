"""What the pages of live experiments say."""

from __future__ import annotations

from collections.abc import Mapping

#: Key: English, Turkish.
EXPERIMENTS: Mapping[str, tuple[str, str]] = {
    "experiments": ("Experiments", "Deneyler"),
    "no_experiments": ("No experiment yet", "Henüz deney yok"),
    "no_experiments_lead": (
        "An experiment shows two ways to answer to different people, and says what may be concluded:",
        "Bir deney, iki yanıtlama yolunu farklı kişilere gösterir ve neyin söylenebileceğini bildirir:",
    ),
    "experiment_draft": ("draft", "taslak"),
    "experiment_running": ("running", "sürüyor"),
    "experiment_paused": ("paused", "durakladı"),
    "experiment_stopped": ("stopped", "bitti"),
    "experiment_declared": ("in santral.toml", "santral.toml içinde"),
    "arms": ("Arms", "Kollar"),
    "arm": ("Arm", "Kol"),
    "decided_when": ("When", "Ne zaman"),
    "arm_share": ("Share", "Pay"),
    "units_of": ("Units", "Birimler"),
    "unit_kind": ("Unit", "Birim"),
    "takes_part": ("Takes part", "Katılan"),
    "may_conclude": ("What may be concluded", "Neler söylenebilir"),
    "sample_ratio": ("Sample ratio (p)", "Örneklem oranı (p)"),
    "held_out": ("Kept out", "Dışarıda tutulan"),
    "crossed_units": ("Saw more than one arm", "Birden çok kol gören"),
    "comparisons": ("Compared with the control", "Kontrol ile karşılaştırma"),
    "comparisons_lead": (
        "Each bar is an always-valid interval of the difference; the line in the middle is none. "
        "Metrics in bold decide.",
        "Her çubuk, farkın her bakışta geçerli aralığıdır; ortadaki çizgi farksızlıktır. Kalın ölçütler "
        "karar verir.",
    ),
    "compared_metric": ("Metric", "Ölçüt"),
    "arm_value": ("Value", "Değer"),
    "control_value": ("Control", "Kontrol"),
    "difference_between": ("Difference", "Fark"),
    "found_better": ("better", "daha iyi"),
    "found_worse": ("worse", "daha kötü"),
    "found_different": ("different", "farklı"),
    "found_undecided": ("not decided", "karar yok"),
    "found_too_few": ("too few", "çok az"),
    "decision_log": ("Decision log", "Karar günlüğü"),
    "decided_what": ("What", "Ne"),
    "decided_by": ("By", "Kim"),
    "evidence": ("Evidence", "Dayanak"),
    "logged_created": ("created", "oluşturuldu"),
    "logged_started": ("started", "başladı"),
    "logged_resumed": ("resumed", "sürdürüldü"),
    "logged_ramped": ("ramped", "genişletildi"),
    "logged_paused": ("paused", "duraklatıldı"),
    "logged_stopped": ("stopped", "durduruldu"),
    "logged_weighted": ("weights moved", "ağırlıklar kaydı"),
    "logged_decided": ("decided", "karara bağlandı"),
    "start_experiment": ("Start", "Başlat"),
    "pause_experiment": ("Pause", "Duraklat"),
    "stop_experiment": ("Stop", "Durdur"),
    "ramp_experiment": ("Widen", "Genişlet"),
    "ramp_percent": ("To percent (empty: next step)", "Yüzde (boş: sonraki adım)"),
    "decide_experiment": ("Decide", "Karara bağla"),
    "decide_reason": ("Reason", "Neden"),
}
