"""Asking a model to go on, in the language of the answer: no English in a German chat."""

from __future__ import annotations

import pytest

from bytedeck.call.tongues import TONGUES, go_on, tongue_of


@pytest.mark.parametrize(
    ("text", "tongue"),
    [
        ("Der Hafen ist nicht groß, und das Wasser", "de"),
        ("The harbour is not large, and the water", "en"),
        ("Le port n'est pas grand, et la mer est", "fr"),
        ("El puerto no es grande, y el agua está", "es"),
        ("Il porto non è grande, e la barca", "it"),
        ("O porto não é grande, e a água é uma", "pt"),
        ("De haven is niet groot, en het water", "nl"),
        ("Hamnen är inte stor, och vattnet är", "sv"),
        ("Port nie jest duży, a woda jest w", "pl"),
        ("Liman büyük değil ve su çok", "tr"),
        ("Порт не большой, и вода", "ru"),
        ("Порт невеликий, і вода її", "uk"),
        ("港口很安静。船都睡了", "zh"),
        ("港はとても静かです。船は", "ja"),
        ("항구는 조용하다. 배들은", "ko"),
        ("الميناء هادئ والماء", "ar"),
        ("बंदरगाह शांत है और", "hi"),
        ("print(1 + 2)", "en"),
        ("42", "en"),
        ("", "en"),
        ("The word 港 means harbour, and it is", "en"),
        ("Das Wort „гавань“ ist ein russisches und heißt auf Deutsch Hafen", "de"),
    ],
)
def test_the_language_of_a_text(text: str, tongue: str) -> None:
    """Scripts are known by their signs, languages in Latin letters by their commonest words."""
    assert tongue_of(text) == tongue


@pytest.mark.parametrize("tongue", TONGUES)
def test_the_words_to_repeat_stand_last_and_alone(tongue: str) -> None:
    """Whatever the language, the last lines are the words themselves, unquoted."""
    asked = TONGUES[tongue].ask
    assert go_on("", "two\n\nlast lines") == f"{TONGUES['en'].ask}\n\ntwo\n\nlast lines"
    assert asked == asked.strip()
    assert "\n" not in asked
