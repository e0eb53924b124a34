"""How a model is asked to go on with a broken answer, in the language of that answer.

A wrong guess costs little: the words to repeat are quoted, and a model goes on in their language.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MOST = 4000
"""Characters of the answer's end that are looked at."""


class Tongue(NamedTuple):
    """One language: how to ask in it, and by what it is known."""

    ask: str
    """What stands before the words to repeat."""
    signs: str = ""
    """A range of characters that only its script has."""
    words: frozenset[str] = frozenset()
    """Its commonest short words, for languages in Latin letters."""
    share: float = 0.3
    """How many of the letters have to be of its script: a stray name makes no text one of that language."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The first script that is found wins, so kana stand before Chinese characters, which Japanese has as well, and the
# few letters that tell Ukrainian from Russian before the others.
TONGUES: dict[str, Tongue] = {
    "ja": Tongue("回答が途中で切れました。次の言葉を一字一句そのまま繰り返してから、何も付け加えずに続きを書いてください。", "\u3041-\u30fa"),
    "ko": Tongue("답변이 중간에 끊겼습니다. 다음 말을 그대로 반복한 뒤, 다른 말 없이 이어서 써 주세요.", "\uac00-\ud7a3"),
    "zh": Tongue("你的回答中断了。请先一字不差地重复下面这些话，然后直接接着写，不要加任何说明。", "\u4e00-\u9fff"),
    "uk": Tongue("Відповідь обірвалася. Почни з дослівного повторення цих слів і одразу продовжуй далі, без зауважень.", "іїєґІЇЄҐ", share=0.02),
    "ru": Tongue("Ответ оборвался. Начни с дословного повторения этих слов и сразу продолжай дальше, без замечаний.", "\u0430-\u044f\u0410-\u042f"),
    "ar": Tongue("انقطعت إجابتك. ابدأ بتكرار هذه الكلمات حرفيًا ثم تابع مباشرة دون أي تعليق.", "\u0621-\u064a"),
    "hi": Tongue("आपका उत्तर बीच में कट गया। पहले इन शब्दों को ज्यों का त्यों दोहराएँ, फिर बिना किसी टिप्पणी के आगे लिखें।", "\u0904-\u0939"),
    "de": Tongue("Deine Antwort ist abgebrochen. Beginne, indem du genau diese Worte wiederholst, und schreibe dann ohne jede Bemerkung weiter.",
                 words=_words("der die das und ist nicht ein eine zu den mit von für auf dem im sich auch wird als")),
    "fr": Tongue("Ta réponse a été coupée. Commence par répéter mot pour mot ceci, puis continue sans aucune remarque.",
                 words=_words("le la les et est pas une des du que qui dans pour sur avec plus ce cette sont au")),
    "es": Tongue("Tu respuesta se cortó. Empieza repitiendo exactamente estas palabras y sigue sin ningún comentario.",
                 words=_words("el la los las y es una que en por con para del se su más como pero al lo")),
    "pt": Tongue("A tua resposta foi interrompida. Começa por repetir exatamente estas palavras e continua sem nenhum comentário.",
                 words=_words("o os as e é uma que em por com para do da não se mais como mas ao dos")),
    "it": Tongue("La tua risposta si è interrotta. Comincia ripetendo esattamente queste parole e prosegui senza commenti.",
                 words=_words("il lo gli e è una che di per con del della non si più come ma al dei nel")),
    "nl": Tongue("Je antwoord is afgebroken. Begin met precies deze woorden te herhalen en ga dan verder zonder opmerking.",
                 words=_words("de het een en is niet van voor op met dat die te zijn ook wordt als aan bij naar")),
    "sv": Tongue("Ditt svar avbröts. Börja med att upprepa exakt dessa ord och fortsätt sedan utan kommentar.",
                 words=_words("och att det är en ett som på av för med inte den till har om kan från de")),
    "pl": Tongue("Twoja odpowiedź została przerwana. Zacznij od dosłownego powtórzenia tych słów i pisz dalej bez uwag.",
                 words=_words("i w na nie się jest że z do to jak za po ale od przez dla są lub oraz")),
    "tr": Tongue("Yanıtın yarıda kesildi. Önce şu sözleri aynen tekrarla, sonra hiçbir açıklama eklemeden devam et.",
                 words=_words("ve bir bu için ile de da olarak daha çok ne en gibi olan kadar ya ise değil")),
    "en": Tongue("Your answer was cut off. Begin by repeating exactly these words, and go on from there without any remark.",
                 words=_words("the and is of to in that it for on with as are this be not or by from at")),
}  # fmt: skip
_SCRIPTS = [(name, re.compile(f"[{one.signs}]")) for name, one in TONGUES.items() if one.signs]


def tongue_of(text: str) -> str:
    """The language of a text as one of `TONGUES`; English where it cannot be told."""
    text = text[-_MOST:]
    letters = sum(sign.isalpha() for sign in text)
    for name, script in _SCRIPTS:
        if letters and len(script.findall(text)) / letters >= TONGUES[name].share:
            return name
    found = re.findall(r"[^\W\d_]+", text.lower())
    counts = {name: sum(word in one.words for word in found) for name, one in TONGUES.items() if one.words}
    best = max(counts, key=lambda name: (counts[name], name == "en"))
    return best if counts[best] else "en"


def go_on(said: str, echo: str) -> str:
    """The user's turn that asks to go on with `said`, beginning with `echo`."""
    return f"{TONGUES[tongue_of(said)].ask}\n\n{echo}"
