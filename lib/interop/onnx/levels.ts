/** Names of the parameters of a layer in a stack, by those of a single one: weight_ih_l0 is weight_ih_l1, norm.weight is norm_l1.weight. */
export function ofLevel(name: string, level: number): string {
  if (level === 0) return name;
  return name.includes('_l0') ? name.replace('_l0', `_l${level}`) : name.replace(/^(norm\w*)\./, `$1_l${level}.`);
}
