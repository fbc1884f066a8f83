/**
 * The report's looks. Text, because the page carries its style inside and its policy names it by hash.
 *
 * Colours are variables with one value for light, dark and paper each; charts use the same variables. Series colours are
 * Okabe and Ito's, lightened on dark ground where they would be too dim. System fonts only: nothing is fetched.
 */
const LIGHT = `
--ground:#f6f7f9;--card:#fff;--ink:#16191d;--muted:#59616b;--line:#dfe3e8;--grid:#e9ecf0;--axis:#aab2bb;--accent:#0b5cad;
--good:#00734f;--good-ground:#e6f4ee;--care:#8a5a00;--care-ground:#fdf3dc;--bad:#b03a00;--bad-ground:#fdeae1;--info:#40408f;--info-ground:#ecebfa;
--s0:#16191d;--s1:#0072b2;--s2:#e69f00;--s3:#009e73;--s4:#d55e00;--s5:#cc79a7;--s6:#56b4e9;
--q0:#b692c9;--q1:#9d72b6;--q2:#8556a3;--q3:#6c3e8e;--q4:#542a77;--q5:#3b185e;`;
const DARK = `
--ground:#101317;--card:#191d23;--ink:#eef1f4;--muted:#a3acb7;--line:#2d333b;--grid:#262c34;--axis:#56606c;--accent:#7cb8f2;
--good:#4cc79c;--good-ground:#12291f;--care:#f0b840;--care-ground:#2c230d;--bad:#ff8a56;--bad-ground:#331a0f;--info:#b5b3f5;--info-ground:#1f1f38;
--s0:#eef1f4;--s1:#56b4e9;--s2:#e69f00;--s3:#1fbf90;--s4:#f07b2e;--s5:#d98fb8;--s6:#8aa6ff;
--q0:#946cb5;--q1:#a67fc7;--q2:#b592d3;--q3:#c09edb;--q4:#d6baea;--q5:#ecd9f7;`;

export const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
@media print{:root{color-scheme:light;${LIGHT}--ground:#fff;}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:1280px;margin:0 auto;padding:28px clamp(14px,3vw,40px) 64px}
h1,h2,h3,h4,p,dl,dd,ul,figure{margin:0}
h1{font-size:clamp(1.45rem,1.1rem + 1.5vw,2.1rem);line-height:1.2;letter-spacing:-.015em;font-weight:650;max-width:34em;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.3;letter-spacing:-.01em;font-weight:650}
h3{font-size:1.02rem;line-height:1.35;font-weight:620}
h4{font-size:.95rem;font-weight:620}
h4 span{color:var(--muted);font-weight:400;margin-left:.4em}
a{color:var(--accent)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
pre{overflow:auto;padding:14px 16px;background:var(--ground);border:1px solid var(--line);border-radius:8px;line-height:1.45}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.brand{font-weight:650;color:var(--accent);font-size:.9rem;margin-bottom:10px}
.brand span{color:var(--muted);font-weight:400;margin-left:.5em}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr));gap:12px 28px;margin-top:20px}
.facts dt,.environment dt{color:var(--muted);font-size:.82rem}
.trust{display:grid;gap:12px;margin:24px 0 0}
.notice{display:flex;gap:14px;padding:14px 18px;border-radius:10px;border:1px solid transparent}
.notice>div{min-width:0;flex:1}
.notice h2{font-size:1rem;line-height:1.5}
.notice p,.notice li{font-size:.93rem}
.notice ul{padding-left:1.1em;margin-top:2px}
.mark{flex:none;width:24px;height:24px;border-radius:50%;display:grid;place-items:center;font-weight:700;font-size:.9rem;color:var(--card)}
.standin{background:var(--info-ground);border-color:var(--info)}.standin h2{color:var(--info)}.standin .mark{background:var(--info)}
.good{background:var(--good-ground)}.good h2{color:var(--good)}.good .mark{background:var(--good)}
.care{background:var(--care-ground)}.care h2{color:var(--care)}.care .mark{background:var(--care)}
.bad{background:var(--bad-ground);border-color:var(--bad)}.bad h2{color:var(--bad)}.bad .mark{background:var(--bad)}
nav{margin:24px 0 0;display:flex;flex-wrap:wrap;gap:6px 18px;font-size:.9rem}
main>section:not(.trust){margin-top:44px}
main>section>h2{padding-bottom:8px;margin-bottom:16px;border-bottom:1px solid var(--line)}
.lead{color:var(--muted);max-width:62em;font-size:.93rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,16.5rem),1fr));gap:16px}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px 14px;display:flex;flex-direction:column}
.card h3{color:var(--muted);font-weight:500;font-size:.92rem}
.card .figure{font-size:2.3rem;line-height:1.15;font-weight:650;letter-spacing:-.02em;margin:6px 0 2px}
.card .caption{font-size:.88rem;color:var(--muted);margin-bottom:12px}
.card table{margin-top:auto;width:100%;font-size:.86rem}
.group,.cell{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;margin-top:16px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 6px;padding:0;margin:10px 0 2px -8px;font-size:.88rem}
.legend li{display:inline-flex;align-items:center;gap:7px;padding:3px 9px;border-radius:99px;border:1px solid transparent}
.legend li[role=button]{cursor:pointer}
.legend li[role=button]:hover{background:var(--ground)}
.legend li[aria-pressed=true]{border-color:var(--axis);background:var(--ground)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19.5rem),1fr));gap:18px 26px;margin-top:12px}
figure{min-width:0}
figcaption{font-size:.9rem;margin-bottom:4px}
figcaption span{color:var(--muted);font-size:.84rem}
.plot svg{display:block;max-width:100%;height:auto;overflow:visible}
.plot text{fill:currentColor}
.missing{color:var(--muted);font-size:.9rem;border:1px dashed var(--line);border-radius:8px;padding:18px}
.numbers{margin-top:12px}
summary{cursor:pointer;color:var(--accent);font-size:.88rem;width:fit-content}
details[open]>summary{margin-bottom:8px}
.cell{scroll-margin-top:16px}
.scroll{overflow-x:auto;position:relative}
table{border-collapse:collapse;font-size:.88rem}
th,td{padding:5px 12px 5px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}
th{font-weight:500;color:var(--muted)}
thead th{vertical-align:bottom;font-size:.92em}
tbody th{color:inherit}
th:first-child,td:first-child{text-align:left}
.cells{width:100%}
.cells thead th[colspan]{text-align:left}
.cells .first{padding-left:14px;border-left:1px solid var(--line)}
.cells tbody tr:hover>*{background:var(--ground)}
#cells .scroll,#answer>.scroll{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:10px 18px;margin-top:14px}
.glossary{columns:24rem 3;column-gap:36px;margin-bottom:14px}
.glossary div{break-inside:avoid;padding-bottom:10px}
.glossary dt{font-weight:600;font-size:.92rem}.glossary dt code{color:var(--muted);font-weight:400;margin-left:.3em}
.glossary dd{font-size:.9rem}
.environment{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:10px 28px;margin:6px 0 20px}
.environment dd{font-size:.92rem}
button{font:inherit;font-size:.92rem;padding:7px 16px;border-radius:8px;border:1px solid var(--axis);background:var(--card);color:var(--ink);cursor:pointer}
button:hover{border-color:var(--accent);color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.tip{position:fixed;z-index:9;max-width:min(22rem,90vw);background:var(--ink);color:var(--ground);font-size:.84rem;line-height:1.4;padding:6px 10px;border-radius:6px;pointer-events:none}
footer{margin-top:44px;color:var(--muted);font-size:.88rem;display:flex;flex-wrap:wrap;gap:14px;align-items:center}
@media (max-width:560px){.group,.cell,.card,#cells .scroll,#answer>.scroll{padding:14px;border-radius:10px}.cells th:first-child{position:sticky;left:0;background:var(--card)}}
@media print{main{max-width:none;padding:0}nav,button,.legend li{cursor:default}nav,button,.tip,details:not([open]){display:none}
.group,.cell,.card,figure{break-inside:avoid}.charts{grid-template-columns:repeat(3,minmax(0,1fr))}.cards{grid-template-columns:repeat(2,minmax(0,1fr))}
body{font-size:11px;line-height:1.4;}.scroll th,.scroll td{padding:2px 6px 2px 0;font-size:9px}.cells .first{padding-left:6px}h1{font-size:20px}.card .figure{font-size:22px}.card,.group,.cell{padding:10px}#cells .scroll{padding:6px}main>section:not(.trust){margin-top:22px}body{background:#fff}.scroll{overflow:visible}.notice,.mark{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
