"""The words that gates look at, folded, in English and Turkish: short lists, written by hand."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that carry no content of their own. What may change an answer is not here: on/off, before,
#: without, only, all, more, must, his.
FUNCTION_WORDS = _words("""
    a an the this that these those there it its is are was were be been being am do does did doing
    done have has had having will would shall could can i me my mine we us our ours you your yours
    and or of in on at to for from with by as into onto about if so then than please hi hello hey
    thanks thank help want like know tell just also really actually could've i'm i've i'd
    i'll it's that's there's what's how's where's you're we're they they're
    able way going possible
    bir bu su o ve ile de da icin mi mu midir musunuz misiniz muyum miyim mudur acaba lutfen
    merhaba selam tesekkurler ki ya ise gibi olarak olan ben bana benim biz bize bizim siz size
    sizin istiyorum isterim soyler soyleyin var olur eder misin musun sey
""")

#: Turkish words that English has not, to tell the language of a short text.
TURKISH_WORDS = _words("""
    bir ve ile icin nasil neden niye nicin kac hangi nerede nereye nereden kim lutfen merhaba mi mu
    midir degil yok var bu su ben benim bana kadar zaman gibi ama veya cok daha olarak ediyor
    yapiyor adam kadin cocuk kart kartim hesap hesabim para nedir hangisi neler nasildir gun ucret en
""")
#: English words that Turkish has not.
ENGLISH_WORDS = _words("""
    the a an is are was were do does did can could will would what who where when why how which my
    your his her their of in on at to for from with by and or not no i you he she they it this that
""")

#: Negations by themselves. Suffixes are in ``negation.py``.
NEGATIONS = _words("""
    not no never none nobody nothing nowhere neither nor cannot without unable lack lacks lacking
    isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't haven't
    hasn't hadn't ain't mustn't isnt arent dont doesnt didnt cant couldnt wont wouldnt havent hasnt
    degil yok hayir asla olmadan yoktur yokken degildir kimse hicbir
""")

#: Question words and their class; a text is asked for all of its classes.
QUESTIONS = {
    **dict.fromkeys(("what", "what's", "whats", "ne", "nedir", "neler", "nelerdir"), "what"),
    **dict.fromkeys(("who", "whom", "whose", "who's", "kim", "kimin", "kime", "kimler"), "who"),
    **dict.fromkeys(("where", "where's", "nerede", "nerde", "neresi"), "where"),
    **dict.fromkeys(("nereye",), "where to"),
    **dict.fromkeys(("nereden", "nerden"), "where from"),
    **dict.fromkeys(("when", "when's"), "when"),
    **dict.fromkeys(("why", "why's", "neden", "niye", "nicin"), "why"),
    **dict.fromkeys(("how", "how's", "nasil"), "how"),
    **dict.fromkeys(("which", "hangi", "hangisi"), "which"),
    **dict.fromkeys(("kac", "kacinci", "kaca", "kactan"), "how many"),
}
#: A question word followed by one of these is another question.
QUESTION_PAIRS = {
    ("how", "many"): "how many",
    ("how", "much"): "how much",
    ("how", "long"): "how long",
    ("how", "often"): "how often",
    ("how", "old"): "how old",
    ("how", "far"): "how far",
    ("how", "come"): "why",
    ("what", "time"): "when",
    ("ne", "zaman"): "when",
    ("ne", "kadar"): "how much",
    ("ne", "sikl"): "how often",
}

#: What is said about doing something: may, must, want. Must always counts; all of them count in a
#: negated question ("cannot" is not "do not want").
MODALS = {
    **dict.fromkeys(("can", "could", "able", "possible", "cannot", "can't", "cant"), "can"),
    **dict.fromkeys(("couldn't", "couldnt", "unable"), "can"),
    **dict.fromkeys(("must", "should", "need", "required", "supposed", "mustn't"), "must"),
    **dict.fromkeys(
        ("gerek", "gerekli", "gerekiyor", "lazim", "zorunlu", "sart", "mecbur"), "must"
    ),
    **dict.fromkeys(("want", "like", "wish", "istiyorum", "istemiyorum", "isterim"), "want"),
}

#: Words that mean opposite things; one side in each text is enough to keep them apart.
ANTONYMS = tuple(
    (_words(one), _words(other))
    for one, other in (
        ("on", "off"),
        ("in inside into", "out outside"),
        ("up", "down"),
        (
            "enable enabled enabling activate activated activating",
            "disable disabled disabling deactivate",
        ),
        ("open opened opening", "close closed closing shut"),
        (
            "increase increased increasing raise rise",
            "decrease decreased decreasing reduce lower fall",
        ),
        ("start started begin", "stop stopped end finish"),
        ("add added adding", "remove removed removing delete deleted"),
        ("buy bought buying", "sell sold selling"),
        ("send sent sending", "receive received receiving"),
        ("deposit", "withdraw withdrawal"),
        ("before", "after"),
        ("more most", "less least fewer"),
        ("max maximum highest", "min minimum lowest"),
        ("first", "last"),
        ("above over", "below under"),
        ("allow allowed", "forbid forbidden deny block blocked"),
        ("lock locked", "unlock unlocked"),
        ("accept accepted", "reject rejected decline declined refuse"),
        ("import", "export"),
        ("upload", "download"),
        ("install", "uninstall"),
        ("connect", "disconnect"),
        ("with", "without"),
        ("always", "never"),
        ("all every", "none some"),
        ("credit", "debit"),
        ("login", "logout"),
        ("ac acik acma acmak acilir acarim acabilirim", "kapat kapali kapatma kapatmak kapatirim"),
        ("artir artirma artirmak arttir yukselt", "azalt azaltma azaltmak dusur indir"),
        ("ekle ekleme eklemek", "sil silme silmek kaldir cikar"),
        ("al satin", "sat satis"),
        ("gonder gonderme", "al alma"),
        ("yatir yatirma", "cek cekme"),
        ("once", "sonra"),
        ("fazla cok", "az"),
        ("en yuksek", "en dusuk"),
        ("ilk", "son"),
        ("ust ustunde", "alt altinda"),
        ("giris", "cikis"),
        ("baslat basla", "durdur bitir"),
        ("etkin etkinlestir", "devre disi"),
        ("kabul", "ret red"),
        ("ucuz", "pahali"),
        ("hizli", "yavas"),
        ("yurtici", "yurtdisi"),
    )
)

#: Words that may stand for each other in any question. Short on purpose: a wrong pair serves a wrong
#: answer, a missing one only misses.
_SYNONYMS = """
    kid child children kids
    fix repair
    begin start
    purchase buy
    picture photo photograph image
    bike bicycle
    phone telephone cellphone
    quick fast
    big large
    small little
    near close
    lady woman
    guy man
    couch sofa
    auto car automobile
    happen occur
    error mistake
    attempt try
    refund reimbursement
    delete erase
    pc computer
    mail email e-mail
    ozur pardon
    telefon cep
    oto araba otomobil
    resim fotograf foto
    hizli cabuk
    ufak kucuk
    hata yanlis
    yardim destek
    soru sual
    cevap yanit
    ucret fiyat
    eposta mail
    bilgisayar pc
    sifre parola
    adres konum
    doktor hekim
    okul mektep
    hanim kadin bayan
    erkek adam
"""
SYNONYMS: dict[str, int] = {
    word: number
    for number, line in enumerate(_SYNONYMS.strip().splitlines())
    for word in line.split()
}

#: Forms that no ending explains. Source: common irregular verbs and plurals of English.
IRREGULAR = {
    form: root
    for line in """
        go went gone goes
        buy bought
        send sent
        pay paid
        lose lost
        make made
        take took taken
        give gave given
        get got gotten
        see saw seen
        find found
        come came
        write wrote written
        break broke broken
        steal stole stolen
        forget forgot forgotten
        choose chose chosen
        speak spoke spoken
        hold held
        keep kept
        leave left
        say said
        tell told
        think thought
        bring brought
        spend spent
        withdraw withdrew withdrawn
        run ran
        sit sat
        stand stood
        ride rode ridden
        eat ate eaten
        throw threw thrown
        man men
        woman women
        child children
        person people
        foot feet
        tooth teeth
        mouse mice
        lie lying
        die dying
        tie tying
    """.strip().splitlines()
    for root, *forms in (line.split(),)
    for form in forms
}

#: Numbers as words; "bir" and "one" are articles as often as numbers and say nothing.
NUMBER_WORDS = {
    word: str(value)
    for words, value in (
        ("two iki", 2), ("three uc", 3), ("four dort", 4), ("five bes", 5), ("six alti", 6),
        ("seven yedi", 7), ("eight sekiz", 8), ("nine dokuz", 9), ("ten", 10),
        ("eleven", 11), ("twelve", 12), ("thirteen", 13), ("fourteen", 14), ("fifteen", 15),
        ("sixteen", 16), ("seventeen", 17), ("eighteen", 18), ("nineteen", 19),
        ("twenty yirmi", 20), ("thirty otuz", 30), ("forty kirk", 40), ("fifty elli", 50),
        ("sixty altmis", 60), ("seventy yetmis", 70), ("eighty seksen", 80), ("ninety doksan", 90),
        ("hundred yuz", 100), ("thousand bin", 1000), ("million milyon", 10**6),
        ("billion milyar", 10**9), ("zero sifir", 0), ("half yarim", "1/2"), ("dozen duzine", 12),
        ("twice", "x2"), ("double", "x2"),
    )
    for word in words.split()
}  # fmt: skip

#: The same where another word of English is spelled so.
TURKISH_NUMBERS = {"on": "10"}

#: Prepositions that give the word behind them its part in what happens.
ROLES = _words(
    "from to into onto before after by than with without over under for against behind about on in at"
)
#: A preposition that may be said as another one.
ROLE_CLASS = {"into": "to", "onto": "to", "in": "at"}
#: Whose something is, where both questions say it.
OWNERS = {
    **dict.fromkeys(("my", "mine", "our", "ours", "benim", "bizim"), "ours"),
    **dict.fromkeys(("your", "yours", "sizin", "senin"), "yours"),
}
