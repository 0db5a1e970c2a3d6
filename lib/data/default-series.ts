import { join } from 'node:path';

/**
 * The series that the study forecasts when it is given none: Seattle's daily weather 2012 to 2015, see data/README.md.
 * `target` is the daily maximum temperature: of the four columns the one with most to forecast.
 */
export function defaultSeries(): { path: string; target: string } {
  // Two folders up is the package's root both from lib/data and from dist/data.
  return { path: join(__dirname, '..', '..', 'data', 'seattle-weather.csv'), target: 'temp_max' };
}
