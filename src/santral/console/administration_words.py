"""What the pages say on which people administer: tenants, keys, users, limits, money, audit, jobs."""

from __future__ import annotations

from collections.abc import Mapping

#: Key: English, Turkish.
ADMINISTRATION: Mapping[str, tuple[str, str]] = {
    # the way in
    "sign_in_with": ("Sign in with {provider}", "{provider} ile giriş yap"),
    "or_with_key": ("or with an admin key", "ya da bir yönetici anahtarıyla"),
    "welcome": ("Welcome", "Hoş geldiniz"),
    "welcome_lead": (
        "Your role shows no traces. These pages are open to you:",
        "Rolünüz izleri göstermiyor. Size açık sayfalar:",
    ),
    "payload_not_allowed": (
        "Your role shows no prompts and answers of this tenant.",
        "Rolünüz bu kiracının istem ve yanıtlarını göstermiyor.",
    ),
    # what was done
    "done_created": ("Created.", "Oluşturuldu."),
    "done_changed": ("Saved.", "Kaydedildi."),
    "done_deleted": ("Deleted.", "Silindi."),
    "done_revoked": (
        "Revoked. Gateways refuse it within two seconds.",
        "İptal edildi. Ağ geçitleri iki saniye içinde reddeder.",
    ),
    "done_switched_on": ("Switched on.", "Açıldı."),
    "done_switched_off": (
        "Switched off. It takes effect within two seconds.",
        "Kapatıldı. İki saniye içinde geçerli olur.",
    ),
    "done_granted": ("The role was given.", "Rol verildi."),
    "done_taken": ("The role was taken.", "Rol alındı."),
    "done_removed": ("Removed.", "Kaldırıldı."),
    "done_cancelled": ("Cancelled.", "İptal edildi."),
    "done_started": ("Started.", "Başlatıldı."),
    # shared
    "name": ("Name", "Ad"),
    "name_optional": ("Name (optional)", "Ad (isteğe bağlı)"),
    "state": ("State", "Durum"),
    "state_on": ("on", "açık"),
    "state_off": ("off", "kapalı"),
    "state_revoked": ("revoked", "iptal edildi"),
    "state_expired": ("expired", "süresi doldu"),
    "created": ("Created", "Oluşturulma"),
    "create": ("Create", "Oluştur"),
    "save": ("Save", "Kaydet"),
    "add": ("Add", "Ekle"),
    "show": ("Show", "Göster"),
    "delete": ("Delete", "Sil"),
    "all": ("all", "hepsi"),
    "over": ("over", "kapsam:"),
    "everything": ("the whole installation", "tüm kurulum"),
    "switch_on": ("Switch on", "Aç"),
    "switch_off": ("Switch off", "Kapat"),
    # tenants
    "tenants": ("Tenants", "Kiracılar"),
    "no_tenants": ("No tenant yet", "Henüz kiracı yok"),
    "no_tenants_lead": (
        "A tenant is who pays: an organisation, a team, a project. Make the first one below.",
        "Kiracı, ödeyendir: bir kurum, bir ekip, bir proje. İlkini aşağıda oluşturun.",
    ),
    "make_tenant": ("Make a tenant", "Kiracı oluştur"),
    "make_tenant_lead": (
        "Roles and limits over a tenant hold for everything beneath it.",
        "Bir kiracıdaki roller ve sınırlar, altındaki her şey için geçerlidir.",
    ),
    "tenant_id": ("Id (never changes)", "Kimlik (hiç değişmez)"),
    "part_of": ("Part of", "Bağlı olduğu kiracı"),
    "nobody_above": ("nobody: stands on its own", "hiçbiri: kendi başına"),
    "off_above": ("off with one above it", "üstündeki kapalı"),
    "beneath": ("Beneath it", "Altındakiler"),
    "rename": ("Rename", "Yeniden adlandır"),
    "move": ("Move", "Taşı"),
    "switch_off_tenant_lead": (
        "Its keys, and those of every tenant beneath it, are refused within two seconds. Nothing is "
        "deleted.",
        "Anahtarları ve altındaki her kiracının anahtarları iki saniye içinde reddedilir. Hiçbir şey "
        "silinmez.",
    ),
    "switch_on_tenant_lead": (
        "Its keys are accepted again within two seconds.",
        "Anahtarları iki saniye içinde yeniden kabul edilir.",
    ),
    "delete_tenant": ("Delete the tenant {tenant}?", "{tenant} kiracısı silinsin mi?"),
    "delete_tenant_lead": (
        "Its keys end, with those of every tenant beneath it, and its id is never used again. The "
        "ledger and the audit log keep their rows. This cannot be undone.",
        "Altındaki kiracılarla birlikte anahtarları sona erer ve kimliği bir daha kullanılmaz. Hesap "
        "defteri ve denetim günlüğü satırlarını korur. Geri alınamaz.",
    ),
    "delete_tenant_force": (
        "Something goes with it or stays behind, as said above. Delete it all the same?",
        "Yukarıda yazanlar onunla gider ya da geride kalır. Yine de silinsin mi?",
    ),
    "delete_ask": ("Delete …", "Sil …"),
    "delete_anyway": ("Delete all the same", "Yine de sil"),
    "keep": ("Keep it", "Vazgeç"),
    # keys
    "keys": ("Keys", "Anahtarlar"),
    "no_keys": ("No key yet", "Henüz anahtar yok"),
    "no_keys_lead": (
        "An application calls with a key. Issue one below, or on the command line:",
        "Uygulamalar bir anahtarla çağırır. Aşağıda ya da komut satırında bir tane oluşturun:",
    ),
    "begins_with": ("Begins with", "Başlangıcı"),
    "routes": ("Routes", "Rotalar"),
    "role": ("Role", "Rol"),
    "ends": ("Ends", "Bitiş"),
    "ends_on": ("Ends after (empty: never)", "Son gün (boş: hiç)"),
    "last_used": ("Last used", "Son kullanım"),
    "issue_key": ("Issue a key", "Anahtar oluştur"),
    "issue_key_lead": (
        "Its text is shown once, on the next page, and stored nowhere.",
        "Metni yalnızca bir kez, sonraki sayfada gösterilir ve hiçbir yerde saklanmaz.",
    ),
    "issue": ("Issue", "Oluştur"),
    "key_name_hint": ("the application it is for", "kullanacak uygulama"),
    "bounds": (
        "Bounds: routes, models, networks, owner, role",
        "Sınırlar: rota, model, ağ, sahip, rol",
    ),
    "bounds_lead": (
        "An empty field does not bind. Scopes: none chosen means all of them.",
        "Boş alan sınırlamaz. Kapsam seçilmezse hepsi geçerlidir.",
    ),
    "routes_one_a_line": ("Routes, one a line", "Rotalar, her satıra bir tane"),
    "models_one_a_line": ("Deployments, one a line", "Dağıtımlar, her satıra bir tane"),
    "networks_one_a_line": ("Networks, one a line", "Ağlar, her satıra bir tane"),
    "networks": ("Networks", "Ağlar"),
    "from_anywhere": ("from anywhere", "her yerden"),
    "owner": ("Owner", "Sahibi"),
    "key_role": ("May administer as", "Yönetim rolü"),
    "no_role": ("no role", "rol yok"),
    "role_over": ("Over the tenant", "Rolün kapsadığı kiracı"),
    "own_tenant": ("its own tenant", "kendi kiracısı"),
    "scopes": ("Scopes", "Kapsamlar"),
    "key_issued": ("The key is ready", "Anahtar hazır"),
    "key_shown_once": (
        "Copy it now: it is shown only this once.",
        "Şimdi kopyalayın: yalnızca bu kez gösterilir.",
    ),
    "copy_key": ("Copy the key", "Anahtarı kopyala"),
    "key_kept": ("I have kept it", "Sakladım"),
    "former_works_until": ("The former text works until", "Eski metnin son geçerlilik anı"),
    "rotate": ("Rotate", "Yenile"),
    "rotate_lead": (
        "The key gets a new text. The former one works on until the overlap is over.",
        "Anahtar yeni bir metin alır. Eskisi, geçiş süresi bitene kadar çalışır.",
    ),
    "overlap_hours": ("Overlap in hours (0 to {n})", "Geçiş süresi, saat (0–{n})"),
    "revoke": ("Revoke", "İptal et"),
    "revoke_lead": (
        "Ends it for good. Gateways refuse it within two seconds.",
        "Kalıcı olarak sona erer. Ağ geçitleri iki saniye içinde reddeder.",
    ),
    "change_key": ("Change what it is for", "Kullanımını değiştir"),
    # users
    "users": ("Users", "Kullanıcılar"),
    "no_users": ("No user yet", "Henüz kullanıcı yok"),
    "no_users_lead": (
        "Add a service account that owns keys, or people who sign in once [sso] is set in santral.toml.",
        "Anahtar sahibi bir hizmet hesabı ya da, santral.toml'da [sso] ayarlanınca giriş yapacak kişileri ekleyin.",
    ),
    "no_users_sso": (
        "Add a person by e-mail address: they sign in with the OpenID provider.",
        "Bir kişiyi e-posta adresiyle ekleyin: OpenID sağlayıcısıyla giriş yapar.",
    ),
    "add_user": ("Add a user", "Kullanıcı ekle"),
    "add_user_lead": (
        "A person is found by e-mail address at the first sign-in. A service account only owns keys.",
        "Kişi, ilk girişte e-posta adresiyle bulunur. Hizmet hesabı yalnızca anahtar sahibidir.",
    ),
    "kind": ("Kind", "Tür"),
    "person": ("person", "kişi"),
    "service": ("service account", "hizmet hesabı"),
    "email": ("E-mail", "E-posta"),
    "email_of_person": ("E-mail (of a person)", "E-posta (kişi için)"),
    "roles": ("Roles", "Roller"),
    "roles_explained": ("What each role may do", "Her rolün yetkileri"),
    "last_sign_in": ("Last sign-in", "Son giriş"),
    "that_is_you": ("that is you", "bu sizsiniz"),
    "take_role": ("Take", "Geri al"),
    "give_role": ("Give this role", "Bu rolü ver"),
    "no_roles_yet": (
        "No role yet: this user may do nothing. Give one below.",
        "Henüz rol yok: bu kullanıcı hiçbir şey yapamaz. Aşağıdan bir rol verin.",
    ),
    "switch_off_user_lead": (
        "Sessions end with their next page, keys are refused within two seconds.",
        "Oturumları bir sonraki sayfada biter, anahtarları iki saniye içinde reddedilir.",
    ),
    "switch_on_user_lead": (
        "May sign in again; keys are accepted again.",
        "Yeniden giriş yapabilir; anahtarları yeniden kabul edilir.",
    ),
}
