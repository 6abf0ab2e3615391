"""What the pages of evaluations say: suites, runs, and what became of measures."""

from __future__ import annotations

from collections.abc import Mapping

#: Key: English, Turkish.
EVALS: Mapping[str, tuple[str, str]] = {
    "evals": ("Evaluations", "Değerlendirmeler"),
    "eval_suite": ("Suite", "Paket"),
    "eval_suites": ("Suites", "Paketler"),
    "eval_suites_lead": (
        "The suites of the folder {folder}. One that is started runs as a job; what was answered is "
        "kept even when it is cancelled.",
        "{folder} klasörünün paketleri. Başlatılan paket bir iş olarak çalışır; iptal edilse bile "
        "verilen yanıtlar saklanır.",
    ),
    "no_suites": ("No suite in the folder {folder} yet", "{folder} klasöründe henüz paket yok"),
    "no_suites_lead": (
        "A suite is a TOML file: a data set, targets, evaluators. The command line runs one from "
        "anywhere:",
        "Paket bir TOML dosyasıdır: veri kümesi, hedefler, değerlendiriciler. Komut satırı her yerden "
        "çalıştırır:",
    ),
    "eval_dataset": ("Data set", "Veri kümesi"),
    "eval_targets": ("Targets", "Hedefler"),
    "eval_target": ("Target", "Hedef"),
    "eval_measures": ("Measures", "Ölçüler"),
    "eval_measure": ("Measure", "Ölçü"),
    "eval_start": ("Start", "Başlat"),
    "eval_against": ("Hold against", "Karşılaştır"),
    "eval_against_nothing": ("nothing", "hiçbiri"),
    "eval_against_last": ("the last complete run", "son tamamlanan çalıştırma"),
    "eval_fresh": ("Ask everything anew", "Her şeyi yeniden sor"),
    "eval_runs": ("Runs", "Çalıştırmalar"),
    "eval_run": ("Run", "Çalıştırma"),
    "no_eval_runs": ("Nothing was run yet.", "Henüz hiçbir şey çalıştırılmadı."),
    "eval_running": ("running", "çalışıyor"),
    "eval_done": ("done", "bitti"),
    "eval_stopped": ("stopped early", "erken durdu"),
    "eval_failed": ("failed", "başarısız"),
    "eval_began": ("Began", "Başlangıç"),
    "eval_examples": ("Examples", "Örnekler"),
    "eval_answers": ("Answers", "Yanıtlar"),
    "eval_value": ("Value", "Değer"),
    "eval_interval": ("95 % interval", "%95 aralık"),
    "eval_without": ("Without a value", "Değersiz"),
    "eval_without_lead": (
        "Scores without a value are counted by why, and never averaged.",
        "Değeri olmayan puanlar nedenine göre sayılır, ortalamaya hiç katılmaz.",
    ),
    "eval_failures": ("Answers that are none", "Yanıt olmayanlar"),
    "eval_prompt": ("Prompt", "İstem"),
    "eval_commit": ("Commit", "Commit"),
    "eval_spent": ("Cost", "Maliyet"),
    "eval_price_unknown": ("a price is unknown", "bir fiyat bilinmiyor"),
    "eval_compare": ("Compare", "Karşılaştır"),
    "eval_compare_with": ("Compare with the earlier run", "Önceki çalıştırmayla karşılaştır"),
    "eval_only_failed": ("Only what failed", "Yalnız başarısızlar"),
    "eval_every_answer": ("Every answer", "Bütün yanıtlar"),
    "eval_example": ("Example", "Örnek"),
    "eval_asked": ("Asked", "Soru"),
    "eval_answered": ("Answered", "Yanıt"),
    "eval_scores": ("Scores", "Puanlar"),
    "eval_base": ("Before", "Önce"),
    "eval_head": ("After", "Sonra"),
    "eval_change": ("Change", "Değişim"),
    "eval_verdict": ("Verdict", "Karar"),
    "eval_in_words": ("In words", "Sözle"),
    "eval_pairs": ("Pairs", "Çiftler"),
    "eval_decides": ("decides", "belirleyici"),
    "eval_losses": ("What lost most in {measure}", "{measure} ölçüsünde en çok kaybedenler"),
    "eval_no_losses": (
        "No example has a value in both runs.",
        "İki çalıştırmada da değeri olan örnek yok.",
    ),
    "outcome_pass": ("pass", "geçti"),
    "outcome_regression": ("regression", "gerileme"),
    "outcome_infrastructure": ("could not be measured", "ölçülemedi"),
    "outcome_not_enough_data": ("not enough data", "yeterli veri yok"),
    "tier_regression": ("regression", "gerileme"),
    "tier_soft": ("soft", "hafif"),
    "tier_noise": ("noise", "gürültü"),
    "tier_improvement": ("improvement", "iyileşme"),
    "tier_not_enough_data": ("not enough data", "yeterli veri yok"),
    "tier_unreliable_baseline": ("unreliable baseline", "güvenilmez temel"),
    "tier_new_series": ("new series", "yeni seri"),
    "tier_shown": ("shown", "gösterilir"),
}
