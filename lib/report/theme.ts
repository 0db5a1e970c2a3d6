/**
 * Colours for charts and pages, light and dark. Charts carry the light colours as plain attributes, which every SVG viewer
 * understands; in dark mode a style sheet maps each of them to its dark twin.
 */

export interface Look {
  /** colour on a light surface; also the key by which dark mode finds the line */
  light: string;
  dark: string;
  /** stroke-dasharray; undefined is a solid line */
  dash?: string;
  /** stroke width in pixels */
  width: number;
}

/**
 * Colour-blind-safe (after Okabe and Ito 2008), at least 3:1 against both surfaces, and told apart by dash and width as well. `amber` is
 * wide and `violet` is thin and dashed, so that both are seen where violet lies exactly on amber; so are `red` and `navy`.
 */
export const looks = {
  ink: { light: '#1f2429', dark: '#e4e7ea', width: 1.25 },
  slate: { light: '#6a7480', dark: '#a4aeb9', dash: '1.5 3.5', width: 2.25 },
  amber: { light: '#d97b00', dark: '#bd7416', width: 4.5 },
  blue: { light: '#0069a8', dark: '#5cb6ee', width: 1.75 },
  green: { light: '#00795a', dark: '#3fbf97', dash: '9 3', width: 2 },
  rose: { light: '#b3365e', dark: '#f08cab', dash: '2 2', width: 2 },
  sienna: { light: '#8a5a2b', dark: '#cf9f6e', dash: '8 3 2 3', width: 2 },
  violet: { light: '#5b1f80', dark: '#e6d5fa', dash: '5 4', width: 1.75 },
  red: { light: '#d01c1f', dark: '#e0554e', width: 4 },
  navy: { light: '#14285e', dark: '#dbe4ff', dash: '2 4', width: 2 },
} satisfies Record<string, Look>;

export type LookName = keyof typeof looks;

/** One look for each place of a normalisation, in every chart that compares them. */
export const placementLooks = {
  none: 'slate',
  input: 'blue',
  output: 'amber',
  preactivation: 'green',
  'split-preactivation': 'sienna',
  'recurrent-input': 'navy',
  hidden: 'red',
} as const satisfies Record<string, LookName>;

export const surface = { light: '#ffffff', dark: '#15181b' };

/** A colour between two, a fraction of the way from the first to the second. */
function mix(from: string, to: string, fraction: number): string {
  const channel = (color: string, at: number) => Number.parseInt(color.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => Math.round(channel(from, at) + fraction * (channel(to, at) - channel(from, at))));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Nine steps from blue over a neutral middle to orange, on each of which ink is readable: for values below and above zero. */
export const diverging = [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((step) => {
  const side = step < 0 ? { light: '#6db3dd', dark: '#145f92' } : { light: '#f29f4c', dark: '#94500a' };
  const middle = { light: '#eceff2', dark: '#262b30' };
  return {
    light: mix(middle.light, side.light, Math.abs(step) / 4),
    dark: mix(middle.dark, side.dark, Math.abs(step) / 4),
  };
});

/** Style rules for every `svg.chart`, on a page or on its own. */
export const chartStyle = `.chart{color:${looks.ink.light};background:${surface.light};color-scheme:light dark}
@media(prefers-color-scheme:dark){.chart{color:${looks.ink.dark};background:${surface.dark}}
${[surface, ...Object.values(looks), ...diverging]
  .map(({ light, dark }) => `.chart [stroke="${light}"]{stroke:${dark}}.chart [fill="${light}"]{fill:${dark}}`)
  .join('\n')}}`;
