/** A self-contained HTML page: no script, no network, and the parts that reports are made of. Strings named `html` are markup already. */
import { escapeHtml } from './text';
import { chartStyle, type Look, type LookName, looks, surface } from './theme';

/** Whether a page, known by its beginning, is one of {@link renderPage}. */
export function isOwnPage(html: string): boolean {
  return /<title>[^<]* – evenkeel \w+<\/title>/.test(html);
}

/** A whole page around `body`, which is markup. @param kind such as "study", which ends the title */
export function renderPage(title: string, kind: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} – evenkeel ${kind}</title>
<style>
${pageStyle}
${chartStyle}
</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

export interface Column {
  /** markup */
  head: string;
  /** Numbers are set right-aligned. */
  numeric?: boolean;
  /** Sentences keep some width on a narrow screen, where the table scrolls instead. */
  sentences?: boolean;
}

/** A table that scrolls inside itself where the screen is narrower. The cells are markup; the first of each row is its heading. */
export function renderTable(caption: string, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  // Sentences would be columns of single words on a phone, where each row becomes a paragraph instead.
  const hasSentences = columns.some(({ sentences }) => sentences);
  const align = (column: number) => (columns[column]?.numeric ? ' class="number"' : columns[column]?.sentences ? ' class="sentences"' : '');
  // An empty cell is no heading.
  const head = columns.map(({ head }, column) => (head === '' ? '<td></td>' : `<th scope="col"${align(column)}>${head}</th>`)).join('');
  const body = rows.map(([first, ...cells]) => {
    return `<tr>${first === '' ? '<td></td>' : `<th scope="row">${first}</th>`}${cells.map((cell, i) => `<td${align(i + 1)}${hasSentences ? ` data-head="${attributeOf(columns[i + 1]?.head)}"` : ''}>${cell}</td>`).join('')}</tr>`;
  });
  // The caption stands outside: inside, it would be cut off with the table.
  return `<p class="caption" aria-hidden="true">${escapeHtml(caption)}</p>
<div class="${hasSentences ? 'stack' : 'scroll'}" role="region" aria-label="${escapeHtml(caption)}" tabindex="0"><table aria-label="${escapeHtml(caption)}">
<thead><tr>${head}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

/** A heading's text without its markup, which is HTML already. */
function attributeOf(html = ''): string {
  return html.replace(/<[^>]*>/g, '').replaceAll('"', '&quot;');
}

/** Terms and what is said of them. */
export function renderDefinitions(rows: readonly (readonly [term: string, text: string])[]): string {
  return `<dl>\n${rows.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`).join('\n')}\n</dl>`;
}

/** A name in a table, with a sample of its chart line before it. `nameHtml` is markup. */
export function renderSampled(look: LookName, nameHtml: string): string {
  const { light, dash, width }: Look = looks[look];
  const dashes = dash === undefined ? '' : ` stroke-dasharray="${dash}"`;
  const line = `<line x2="26" y1="4" y2="4" stroke="${light}" stroke-width="${width}"${dashes}/>`;
  return `<span class="sampled"><svg class="chart sample" width="26" height="8" aria-hidden="true">${line}</svg>${nameHtml}</span>`;
}

const pageStyle = `:root{--ink:${looks.ink.light};--soft:#59636e;--rule:#d9dee3;--tint:#f4f6f8;--surface:${surface.light};--link:${looks.blue.light};--good:#1a6b3c;--bad:#a3360b;--part:#7a5a00;--shade:#0004;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:${looks.ink.dark};--soft:#9da7b1;--rule:#343b42;--tint:#1e2327;--surface:${surface.dark};--link:${looks.blue.dark};--good:#6cc492;--bad:#f0946b;--part:#d9b54a;--shade:#fff5}}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:var(--surface);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:48rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:clamp(1.5rem,4vw,2rem);line-height:1.2;letter-spacing:-.015em;margin:.25rem 0 1rem;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.3;letter-spacing:-.01em;margin:3.5rem 0 .75rem;padding-top:1.25rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:2rem 0 .5rem}
p,ul,dl{margin:0 0 1rem}
ul{padding-left:1.25rem}
a{color:var(--link)}
sub{font-size:.75em;line-height:0}
code{font:.875em ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.kicker{color:var(--soft);font-size:.875rem;margin:0}
.lead{font-size:1.0625rem}
.note{color:var(--soft);font-size:.875rem}
.warning{border-left:3px solid var(--bad);background:var(--tint);padding:.75rem 1rem}
.scroll,.stack{overflow-x:auto;margin:0 0 1.25rem}
/* A shadow at each edge behind which there is more: the covers move with the table, the shadows do not. */
.scroll{background:linear-gradient(90deg,var(--surface) 50%,transparent) 0 0/2rem 100% no-repeat local,linear-gradient(270deg,var(--surface) 50%,transparent) 100% 0/2rem 100% no-repeat local,linear-gradient(90deg,var(--shade),transparent) 0 0/.75rem 100% no-repeat scroll,linear-gradient(270deg,var(--shade),transparent) 100% 0/.75rem 100% no-repeat scroll}
table{border-collapse:collapse;width:100%;font-size:.9375rem;line-height:1.35}
.caption{font-weight:600;margin:2rem 0 .25rem}
th,td{text-align:left;vertical-align:baseline;padding:.5rem 1rem .5rem 0;border-bottom:1px solid var(--rule)}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-size:.8125rem;font-weight:500;vertical-align:bottom;border-bottom-color:var(--soft)}
tbody th{font-weight:500}
th small,td small{display:block;color:var(--soft);font-size:.8125rem;font-weight:400}
.sampled{display:block;position:relative;padding-left:2.25rem;min-width:8.5rem}
.sampled .sample{position:absolute;left:0;top:.45rem}
.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
.sentences{min-width:9.5rem}
figure{margin:1.75rem 0 2.25rem}
figcaption{color:var(--soft);font-size:.875rem;margin-top:.5rem}
.chart{display:block;width:100%;height:auto;font-family:inherit}
.chart text{font-variant-numeric:tabular-nums}
.sample{width:26px;height:8px}
details{margin:0 0 2.5rem}
summary{cursor:pointer;color:var(--link)}
.narrow{display:none}
@media(max-width:600px){.wide{display:none}.narrow{display:block}table{font-size:.875rem}th,td{padding-right:.5rem}.sampled{padding-left:2rem;min-width:7rem}
.scroll tbody th,.scroll tr>:first-child{position:sticky;left:0;background:var(--surface);z-index:1;max-width:9.5rem}
.stack thead{display:none}.stack table,.stack tbody,.stack tr,.stack tbody th,.stack td{display:block}
.stack tr{padding:.75rem 0;border-bottom:1px solid var(--rule)}.stack tbody th,.stack td{border:0;padding:.15rem 0}
.stack td{text-align:left;white-space:normal}.stack td:not(:empty)::before{content:attr(data-head) ": ";color:var(--soft);font-size:.8125rem}}
q{font-style:italic}
.good{color:var(--good)}
.part{color:var(--part)}
.bad{color:var(--bad)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.25rem;font-size:.9375rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media print{.scroll{overflow:visible}h2{break-after:avoid}figure,tr{break-inside:avoid}}`;
