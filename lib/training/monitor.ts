import { checkInteger, checkNumber, checkOneOf, checkString, fail, nearestName, readOptions } from '../check';
import type { Metric } from '../metrics/metric';
import type { EarlyStoppingSettings } from './early-stopping';
import type { EpochRecord } from './records';

/** What there is to monitor. */
interface Monitored {
  hasValidation: boolean;
  metrics: readonly (readonly [name: string, metric: Metric<unknown>])[];
}

/** Checks for the name of a value in an epoch's record. */
export function checkMonitor(argument: string, value: unknown, { hasValidation, metrics }: Monitored): string {
  const monitor = checkString(argument, value);
  const known = ['loss', ...(hasValidation ? ['loss', ...metrics.map(([name]) => name)].map((name) => `validation.${name}`) : [])];
  if (known.includes(monitor)) return monitor;
  const nearest = nearestName(monitor.replace(/^val_/, 'validation.'), known);
  const hint = hasValidation ? nearest && `Did you mean "${nearest}"?` : 'For others give validation: { batches }.';
  return fail('ERR_OPTION', argument, `one of ${known.map((name) => `"${name}"`).join(', ')}`, monitor, hint);
}

/** The value in an epoch's record; undefined where there was no validation. */
export function monitoredValue({ loss, validation }: EpochRecord, monitor: string): number | undefined {
  return monitor === 'loss' ? loss : validation?.[monitor.slice('validation.'.length)];
}

const OPTIONS = ['monitor', 'patience', 'minDelta', 'mode'] as const;

/** Checks fit's option. */
export function checkEarlyStopping(value: unknown, monitored: Monitored): EarlyStoppingSettings | undefined {
  if (value === undefined) return undefined;
  const defaults = { monitor: monitored.hasValidation ? 'validation.loss' : 'loss', minDelta: 0 };
  const given = readOptions('earlyStopping', value, OPTIONS, defaults);
  const monitor = checkMonitor('earlyStopping.monitor', given.monitor, monitored);
  const own = monitored.metrics.find(([name]) => monitor === `validation.${name}`)?.[1].mode;
  return {
    monitor,
    patience: given.patience === Number.POSITIVE_INFINITY ? given.patience : checkInteger('earlyStopping.patience', given.patience, 1),
    minDelta: checkNumber('earlyStopping.minDelta', given.minDelta, { min: 0 }),
    mode: checkOneOf('earlyStopping.mode', given.mode ?? own ?? 'min', ['min', 'max']),
  };
}
