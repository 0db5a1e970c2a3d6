/** Fails unless `xml` is one well-formed element: tags that match, attributes in quotes, no stray < or &. Enough of XML for our SVG files. */
export function expectWellFormed(xml: string): void {
  const text = '(?:[^<&"]|&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-f]+);)*';
  const token = new RegExp(
    `<(/?)([\\w:-]+)((?:\\s+[\\w:-]+="${text}")*)\\s*(/?)>|(?:[^<&]|&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-f]+);)+`,
    'y',
  );
  const open: string[] = [];
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    if (match === null) throw new Error(`not well-formed at ${at}: ${xml.slice(at, at + 60)}`);
    const [, closing, name, , selfClosing] = match;
    if (name === undefined || selfClosing === '/') continue;
    if (closing === '/') expect(open.pop()).toBe(name);
    else open.push(name);
  }
  expect(open).toEqual([]);
}
