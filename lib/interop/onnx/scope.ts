import type { NodeProto } from './messages';

/**
 * The module that a node was made of, such as `encoder.rnn`: PyTorch's older exporter names nodes `/encoder/rnn/LSTM`, the newer one notes the
 * modules beside them, and toOnnx names as the older one does. Undefined where the file does not say, `''` of a bare module.
 */
export function scopeOf({ name = '', metadata_props: notes = [] }: NodeProto): string | undefined {
  const noted = notes.find(({ key }) => key === 'pkg.torch.onnx.name_scopes')?.value;
  const scope =
    noted === undefined ? (name.startsWith('/') ? name.slice(1).split('/').slice(0, -1).join('.') : undefined) : notedScope(noted);
  return scope !== undefined && scope.length <= 200 && /^[\w.]*$/.test(scope) ? scope : undefined;
}

/** Of `['', 'encoder', 'encoder.rnn', 'lstm']` the last but one: the last is the operator's. */
function notedScope(text: string): string | undefined {
  const names = [...text.matchAll(/'([^']*)'/g)].map((match) => match[1] as string);
  return names.at(-2);
}
