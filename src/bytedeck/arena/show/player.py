"""The page's script: plays the words again in the time that they took, or writes along while a match is held.

It is given rows, `[milliseconds since the last, kind, part, text, characters taken back]` (see `timeline`), and only ever
writes text into elements that are there: no markup is made from what anybody said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..events import (
    CommentBegan,
    CommentEnded,
    Decided,
    Ended,
    Event,
    Resumed,
    TurnBegan,
    TurnEnded,
    TurnFailed,
    Words,
)
from ..types import COMMENT
from .replay import replay

Row = list[Any]
_ROWS: Mapping[type, Callable[[Any], Row]] = {
    Words: lambda event: ["w", event.part, event.text, event.erase],
    TurnBegan: lambda event: ["b", event.turn.part],
    TurnEnded: lambda event: ["e", event.turn.part],
    TurnFailed: lambda event: ["e", event.turn.part],
    CommentBegan: lambda event: ["b", COMMENT],
    CommentEnded: lambda event: ["e", COMMENT],
    Decided: lambda event: ["d"],
    Ended: lambda event: ["z"],
}


def timeline(events: Iterable[Event]) -> list[Row]:
    """What the script plays: of a match's events those that are seen, with their waits as `replay` has them."""
    rows: list[Row] = []
    running: dict[str, str] = {}
    clock, told = 0.0, 0
    for wait, event in replay(events):
        clock += wait * 1000
        for row in _rows(event, running):
            rows.append([round(clock) - told, *row])
            told = round(clock)
    return rows


def _rows(event: Event, running: dict[str, str]) -> list[Row]:
    if isinstance(event, TurnBegan):
        running[event.request] = event.turn.part
    elif isinstance(event, CommentBegan):
        running[event.request] = COMMENT
    elif isinstance(event, Resumed):
        # What a lost call had said is taken back: it is said anew.
        return [["x", running[request]] for request in event.lost if request in running]
    make = _ROWS.get(type(event))
    return [] if make is None else [make(event)]


SCRIPT = """
'use strict';
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const all = (what) => [...document.querySelectorAll(what)];
const one = (id) => document.getElementById(id);
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
const parts = new Map(all('[data-part]').map((at) => [at.dataset.part, {
  at, said: at.querySelector('.said'), full: at.querySelector('.said').textContent, text: '',
  state: at.dataset.state, round: at.closest('[data-round]')}]));
const after = (kind) => all(`[data-after~="${kind}"]`);
const bars = all('[data-points]');
const dirty = new Set();

// Characters are counted as the events count them: a pair of surrogates is one.
const cut = (text, count) => count ? [...text].slice(0, -count).join('') : text;
const flush = () => { for (const p of dirty) p.said.textContent = p.text; dirty.clear(); };
const mark = (p, state) => {
  p.at.classList.toggle('speaking', state === 'speaking');
  p.at.classList.toggle('waiting', state === 'waiting');
};
const points = (full) => { for (const at of bars) {
  const now = full ? at.dataset.points : '100';
  at.querySelector('.points').textContent = now;
  at.querySelector('.bar rect').setAttribute('width', now);
} };
const say = (text) => { one('status').textContent = text; };

const show = (p) => {
  if (p.round && p.round.hidden) {
    p.round.hidden = false;
    const bottom = p.round.getBoundingClientRect().top;
    if (bottom > innerHeight * 0.8) p.round.scrollIntoView({block: 'center', behavior: still ? 'auto' : 'smooth'});
    const title = p.round.querySelector('h2');
    if (title) say(title.textContent);
  }
  p.at.hidden = false;
};
const act = {
  w: (part, text, erase) => { const p = parts.get(part); if (p) { p.text = cut(p.text, erase) + text; dirty.add(p); } },
  b: (part) => { const p = parts.get(part); if (p) { p.text = ''; dirty.add(p); show(p); mark(p, 'speaking'); } },
  x: (part) => { const p = parts.get(part); if (p) { p.text = ''; dirty.add(p); mark(p, 'waiting'); } },
  e: (part) => { const p = parts.get(part); if (p) {
    dirty.delete(p); p.said.textContent = p.full; mark(p, 'said');
    for (const at of p.at.querySelectorAll('[data-after="e"]')) at.hidden = false;
  } },
  d: () => { for (const at of after('d')) at.hidden = false; points(true); say(one('outcome').textContent); },
  z: () => finish(),
};

let clock = 0, next = 0, due = 0, is_playing = false, began = false, last = 0, speed = 1;
const length = data.rows.reduce((sum, row) => sum + row[0], 0);

const begin = () => {
  began = true; clock = 0; next = 0; due = data.rows.length ? data.rows[0][0] : 0;
  document.body.classList.add('replay');
  for (const p of parts.values()) {
    p.text = ''; p.said.textContent = ''; mark(p, 'waiting');
    if (p.round) p.round.hidden = true;
  }
  for (const at of all('[data-after]')) at.hidden = true;
  points(false);
};
const finish = () => {
  began = false; is_playing = false; clock = length; dirty.clear();
  document.body.classList.remove('replay');
  for (const p of parts.values()) {
    p.said.textContent = p.full; mark(p, p.state); if (p.round) p.round.hidden = false;
  }
  for (const at of all('[data-after]')) at.hidden = false;
  points(true); paint();
};
const advance = (to) => {
  clock = to;
  while (began && next < data.rows.length && due <= clock) {
    const [, kind, ...rest] = data.rows[next];
    next += 1;
    if (next < data.rows.length) due += data.rows[next][0];
    act[kind](...rest);
  }
  flush();
  if (began && next >= data.rows.length) finish();
};
const seek = (to) => { if (!began || to < clock) begin(); advance(Math.max(0, to)); paint(); };

const time = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;
const paint = () => {
  one('play').textContent = is_playing ? 'Pause' : began ? 'Go on' : 'Replay';
  one('seek').value = String(Math.round(clock));
  one('time').textContent = `${time(clock)} / ${time(length)}`;
  one('end').disabled = !began;
};
const tick = (now) => {
  if (!is_playing) return;
  // A tab that was in the background goes on where it was.
  advance(clock + Math.min(now - last, 250) * speed);
  last = now; paint();
  if (is_playing) requestAnimationFrame(tick);
};
const toggle = () => {
  if (is_playing) { is_playing = false; paint(); return; }
  if (!began) { begin(); one('top').scrollIntoView(); }
  is_playing = true; last = performance.now(); paint(); requestAnimationFrame(tick);
};

const follow = () => {
  for (const p of parts.values()) p.text = p.full;
  const stream = new EventSource(data.live);
  const kinds = {turn_began: 'b', turn_ended: 'e', turn_failed: 'e', comment_began: 'b', comment_ended: 'e'};
  const asked = new Map();
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    const part = event.turn ? `t${event.turn.leg}.${event.turn.round}.${event.turn.fighter}` : 'comment';
    if (event.type === 'words') act.w(event.part, event.text || '', event.erase || 0);
    else if (event.type === 'resumed') for (const lost of event.lost || []) act.x(asked.get(lost));
    else if (event.type === 'ended') { stream.close(); location.reload(); }
    else if (kinds[event.type]) {
      if (event.request) asked.set(event.request, part);
      const p = parts.get(part);
      if (p && kinds[event.type] === 'e') p.full = event.text || '';
      act[kinds[event.type]](part);
    }
    requestAnimationFrame(flush);
  };
};

if (data.live) { follow(); return; }
if (!length) return;
one('player').hidden = false;
one('seek').max = String(length);
clock = length;
paint();
one('play').addEventListener('click', toggle);
one('end').addEventListener('click', finish);
one('seek').addEventListener('input', (event) => seek(Number(event.target.value)));
one('speed').addEventListener('change', (event) => { speed = Number(event.target.value); });
const keys = {
  ' ': toggle, End: finish, Escape: finish,
  ArrowRight: () => seek(clock + 5000), ArrowLeft: () => seek(clock - 5000),
};
addEventListener('keydown', (event) => {
  // What a control does with a key of its own stays so.
  const takes = event.target.closest(event.key === ' ' ? 'button, select, input, summary' : 'select, input');
  if (event.ctrlKey || event.metaKey || event.altKey || takes || !keys[event.key]) return;
  if (!began && event.key !== ' ') return;
  event.preventDefault();
  keys[event.key]();
});
})();
"""
