"""GET /models?use_rss=true: the list as a feed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from ..shapes import Model

SITE = "https://openrouter.ai"


def feed(rows: Sequence[Model], *, chat_links: bool = False) -> str:
    """RSS 2.0; links lead to the model's page, or to a chat with it."""
    items = "".join(_item(row, chat_links) for row in rows)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>OpenRouter Models</title><link>{SITE}/models</link><description>Models on OpenRouter</description>"
        f"{items}</channel></rss>\n"
    )


def _item(row: Model, chat_links: bool) -> str:
    link = f"{SITE}/chat?models={row.id}" if chat_links else f"{SITE}/{row.id}"
    moment = format_datetime(datetime.fromtimestamp(row.shown["created"], UTC), usegmt=True)
    return (
        f"<item><title>{escape(row.name)}</title><link>{escape(link)}</link><guid>{escape(row.id)}</guid>"
        f"<pubDate>{moment}</pubDate><description>{escape(row.shown.get('description', ''))}</description></item>"
    )
