"""How a ledger page looks: light, dark and printed. No font and no picture is fetched."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;
--page:#f6f7f9;--card:#ffffff;--ink:#1c2128;--soft:#5b6572;--line:#e1e5ea;--accent:#1f5fa8;--wash:#eaf1fa;
--bad:#b3261e;--bad-wash:#fdecea;--warn:#8a5a00;--warn-wash:#fff4dc;
--skipped:#d9dde3;--cached:#7fc4b4;--computed:#2f6fb5;--lost:#e08a1e;--failed:#c8322b;--missing:#ffffff;
--hatch:#ffffff;--api:#8e99a8;--api-soft:#cfd5dd}
@media (prefers-color-scheme:dark){:root{
--page:#0f1318;--card:#171c23;--ink:#e6eaf0;--soft:#9aa5b3;--line:#2b323c;--accent:#7db4f0;--wash:#1b2a3d;
--bad:#ff8f86;--bad-wash:#3a1d1c;--warn:#f0c36a;--warn-wash:#352a12;
--skipped:#39414c;--cached:#3f8f80;--computed:#5b9be0;--lost:#e39a3c;--failed:#ee5f57;--missing:#171c23;
--hatch:#171c23;--api:#8995a5;--api-soft:#4a5462}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Hiragino Sans","Yu Gothic","Noto Sans CJK JP",sans-serif}
main{max-width:1060px;margin:0 auto;padding:28px 24px 48px}
header{margin-bottom:18px}
h1{font-size:26px;line-height:1.25;margin:2px 0 6px;overflow-wrap:anywhere;text-wrap:balance}
h2{font-size:17px;margin:0 0 10px}
h3{font-size:14px;margin:14px 0 6px;color:var(--soft);font-weight:600}
p{margin:6px 0}
.eyebrow{color:var(--soft);font-size:13px;display:flex;gap:8px;align-items:center;flex-wrap:wrap}
.badge{border:1px solid var(--line);border-radius:999px;padding:1px 10px;background:var(--card);color:var(--ink)}
.facts{color:var(--soft);font-size:13.5px;overflow-wrap:anywhere}
section,.note{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin:14px 0}
.note{padding:12px 18px}
.bad{background:var(--bad-wash);border-color:var(--bad);color:var(--bad)}
.warn{background:var(--warn-wash);border-color:var(--warn);color:var(--warn)}
.bad ul,.warn ul{margin:4px 0 0;padding-left:20px}
.verdict{border-left:5px solid var(--accent)}
.verdict .word{font-size:21px;font-weight:650;line-height:1.3;margin:0 0 4px}
.verdict ul{margin:6px 0;padding-left:20px}
.verdict .also{border-top:1px solid var(--line);margin-top:10px;padding-top:8px}
.soft{color:var(--soft)}
.small{font-size:13px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:14px 0}
.figure{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.figure b{display:block;font-size:21px;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.3}
.figure span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.w{white-space:nowrap}
tr:last-child td{border-bottom:0}
tr.sum td{font-weight:650;border-top:2px solid var(--line)}
td.mono,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Noto Sans Mono CJK JP",monospace;font-size:12.5px}
.unpriced{color:var(--bad);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin:10px 0 0;font-size:13px;color:var(--soft)}
.legend span{display:inline-flex;align-items:center;gap:7px;white-space:nowrap}
.legend svg{flex:none}
.legend b{color:var(--ink);font-weight:600}
svg.timeline,svg.bars{display:block;width:100%;height:auto}
svg text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans CJK JP",sans-serif;fill:var(--ink)}
svg .tick{fill:var(--soft);font-size:12px}
svg .axis{stroke:var(--line)}
svg .amount{font-variant-numeric:tabular-nums}
svg .ours{font-weight:650}
.skipped{fill:var(--skipped)}.cached{fill:var(--cached)}.computed{fill:var(--computed)}
.lost{fill:var(--lost)}.failed{fill:var(--failed)}
.missing{fill:var(--missing);stroke:var(--soft);stroke-width:1;stroke-dasharray:3 2}
.hatch{stroke:var(--hatch);stroke-width:2;opacity:.75}
.bar-paid{fill:var(--accent)}.bar-whole{fill:var(--api-soft)}.bar-speech{fill:var(--api)}
details summary{cursor:pointer;font-weight:600}
details[open] summary{margin-bottom:10px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media (max-width:640px){main{padding:18px 12px 32px}section{padding:14px 12px}h1{font-size:22px}
svg.timeline,svg.bars{min-width:680px}dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#1f5fa8;
--wash:#eaf1fa;--bad:#b3261e;--bad-wash:#fff;--warn:#8a5a00;--warn-wash:#fff;--skipped:#d9dde3;--cached:#7fc4b4;
--computed:#2f6fb5;--lost:#e08a1e;--failed:#c8322b;--missing:#fff;--hatch:#fff;--api:#8e99a8;--api-soft:#cfd5dd}
body{font-size:11pt}main{max-width:none;padding:0}section,.note,.figure{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}.scroll{overflow:visible}
section:has(>details:not([open])){display:none}}
"""
