"""The page's style sheet: light and dark, from a phone's width on, on paper, and without motion where that is asked for."""

from __future__ import annotations

SHEET = """
:root{color-scheme:light dark;--back:#f6f5f1;--card:#fff;--ink:#1b1d22;--soft:#646873;--line:#e3e1da;--track:#e8e6df;
--serif:ui-serif,Charter,"Iowan Old Style",Georgia,"Noto Serif","DejaVu Serif",serif;
--sans:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){:root{--back:#0f1115;--card:#181b21;--ink:#e8e9ec;--soft:#9aa0ab;--line:#2a2e36;
--track:#2a2e36}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.6 var(--sans);overflow-wrap:anywhere}
.wide{max-width:76rem;margin:0 auto;padding-inline:1.25rem}
h1,h2,h3,p,dl,dd,figure,blockquote,table{margin:0}
h2{font:600 .8rem/1.4 var(--sans);letter-spacing:.09em;text-transform:uppercase;color:var(--soft)}
h3{font-size:1rem;line-height:1.35}
a{color:inherit}
bdi,.own{unicode-bidi:isolate}
.own{white-space:pre-wrap}
.soft,.facts{color:var(--soft);font-size:.875rem}

header{padding-block:2.5rem 1.5rem}
.brand{font-weight:650;font-size:.8rem;letter-spacing:.09em;text-transform:uppercase;color:var(--soft)}
.brand b{color:var(--ink)}
h1{font:600 clamp(1.6rem,1rem + 2.6vw,2.9rem)/1.2 var(--serif);margin:.7rem 0 .9rem;text-wrap:balance}
.facts{display:flex;flex-wrap:wrap;gap:.1rem .9rem;padding:0;margin:0;list-style:none}
.outcome{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem .9rem;margin-top:1.3rem}
.outcome strong{font:600 1.35rem/1.3 var(--serif)}

.ring{position:sticky;top:0;z-index:2;background:color-mix(in srgb,var(--back) 92%,transparent);
backdrop-filter:blur(10px);border-block:1px solid var(--line)}
.row{display:grid;grid-template-columns:repeat(var(--n),minmax(0,1fr));gap:1rem}
.ring .row{padding:.75rem 0}
.n2{--n:2}.n3{--n:3}.n4{--n:4}.n1{--n:1}
.fighter{display:grid;grid-template-columns:auto minmax(0,1fr) auto;gap:0 .7rem;align-items:center}
.badge{grid-row:span 2;display:grid;place-items:center;width:2.4rem;height:2.4rem;border-radius:50%;
background:var(--c);color:var(--on);font-weight:700;font-size:1.05rem}
.name{font-weight:650;line-height:1.25;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.who{grid-column:2/-1;color:var(--soft);font-size:.8rem;line-height:1.3;white-space:nowrap;overflow:hidden;
text-overflow:ellipsis}
.points{font-variant-numeric:tabular-nums;font-weight:650;font-size:.9rem}
.bar{display:block;width:100%;height:.45rem;border-radius:.25rem;background:var(--track);overflow:hidden}
.bar rect{fill:var(--c);transition:width .8s ease-out}
.ring .bar{grid-column:1/-1;margin-top:.5rem}
.won{display:inline-block;margin-left:.5rem;padding:.05rem .5rem;border-radius:1rem;background:var(--c);color:var(--on);
font:650 .68rem/1.5 var(--sans);letter-spacing:.05em;text-transform:uppercase;vertical-align:.1em}

main{padding-block:1.75rem 7rem}
section{margin-top:2.4rem}
section:first-child{margin-top:0}
section>h2{display:flex;align-items:center;gap:1rem;margin-bottom:.9rem}
section>h2:after{content:"";flex:1;border-top:1px solid var(--line)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.05rem 1.2rem}
.turn{display:flex;flex-direction:column;border-top:3px solid var(--c)}
.turn h3{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .6rem;margin-bottom:.5rem;
color:color-mix(in oklab,var(--c) 62%,var(--ink))}
.turn h3 small{color:var(--soft);font-weight:400;font-size:.8rem}
.said{white-space:pre-wrap;unicode-bidi:plaintext;text-align:start}
.remark{margin-top:.6rem;color:var(--soft);font-size:.875rem;font-style:italic}
.foot{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin-top:auto;padding-top:.8rem;color:var(--soft);font-size:.8rem;
font-variant-numeric:tabular-nums}
.foot b{color:var(--ink)}
.speaking .said:after{content:"";display:inline-block;width:.5em;height:1.05em;margin-left:.1em;vertical-align:-.18em;
background:var(--c);animation:blink 1.1s steps(2) infinite}
@keyframes blink{50%{opacity:0}}
.waiting{opacity:.55}

.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1rem}
.judge ul{margin:.4rem 0 0;padding:0;list-style:none}
.log{margin:0;padding-left:1.1rem}
.flip{color:color-mix(in oklab,#d9480f 75%,var(--ink))}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin-top:.8rem;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .5rem;border-bottom:1px solid var(--line);text-align:right;overflow-wrap:normal}
th{font-weight:600;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;padding-left:0}
tr>:last-child{padding-right:0}
tr:last-child>*{border-bottom:0}
thead th{color:var(--soft);font-weight:500;border-bottom-color:var(--soft)}
.best{font-weight:700}
figure{margin-top:.9rem}
figcaption{color:var(--soft);font-size:.8rem}
blockquote{margin-top:.25rem;padding-left:.8rem;border-left:2px solid var(--line);font-size:.925rem}
.votes{display:grid;grid-template-columns:minmax(0,max-content) minmax(4rem,1fr) auto;gap:.35rem .8rem;align-items:center;
margin-top:.6rem}
.votes dd{font-variant-numeric:tabular-nums}
.tie{--c:var(--soft)}
.costs{max-width:34rem}
.costs table{margin:0}
.by,.legend{margin-top:.6rem}
.costs tr:last-child{font-weight:650}
details summary{cursor:pointer}
footer{color:var(--soft);font-size:.8rem;padding-top:2rem}

.player{position:fixed;z-index:3;inset:auto 0 0;padding:.6rem .8rem;background:color-mix(in srgb,var(--card) 94%,transparent);
backdrop-filter:blur(10px);border-top:1px solid var(--line)}
.player .wide{display:flex;align-items:center;gap:.6rem .8rem}
.player output{min-width:6.2em;color:var(--soft);font-size:.8rem;font-variant-numeric:tabular-nums;text-align:right}
.player input{flex:1;min-width:3rem;accent-color:var(--ink)}
button,select{font:600 .875rem/1 var(--sans);color:var(--ink);background:var(--back);border:1px solid var(--line);
border-radius:2rem;padding:.6rem .95rem;cursor:pointer}
button.main{background:var(--ink);color:var(--card);border-color:var(--ink);min-width:6.6rem}
:disabled{opacity:.4;cursor:default}
:focus-visible{outline:2px solid #3b82f6;outline-offset:2px}
.status{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}

@media (max-width:56rem){.n3,.n4{--n:2}}
@media (max-width:40rem){
.wide{padding-inline:.9rem}
header{padding-block:1.5rem 1rem}
main .row{grid-template-columns:minmax(0,1fr)}
main .row>.turn{border-top:1px solid var(--line);border-left:4px solid var(--c)}
.ring .row{gap:.5rem .9rem;padding:.5rem 0}
.ring .badge{grid-row:auto;width:1.5rem;height:1.5rem;font-size:.75rem}
.ring .fighter{gap:0 .45rem}
.ring .name{font-size:.875rem}
.ring .who,.ring .won{display:none}
.ring .bar{margin-top:.3rem;height:.35rem}
.player .wide{flex-wrap:wrap}
.player input{order:-1;flex-basis:60%}
.player output{order:-1}
}
@media (prefers-reduced-motion:reduce){*,*:after{animation:none!important;transition:none!important}}
@media print{.ring{position:static;backdrop-filter:none}.player{display:none}.card{break-inside:avoid}main{padding-bottom:0}}
"""
