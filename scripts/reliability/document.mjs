// docs/reliability.md from what was recorded.

const whole = (number) => Math.round(number).toLocaleString('en-US');
const megabytes = (bytes) => `${whole(bytes / 1e6)} MB`;
const table = (head, rows) => [
  `| ${head.join(' | ')} |`,
  `| ${head.map(() => '---').join(' | ')} |`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
  '',
];

const SECTIONS = {
  killsLocal: ['Sweeps killed at random moments, in processes of one machine', kills],
  killsQueue: ['Sweeps killed at random moments, over a queue: workers, the sweep and Redis', kills],
  faults: [
    'Faults of the file system',
    ({ injected, saved, refused, untyped, damaged, leftBehind }) => [
      'Each call of `node:fs` that `saveState` and `saveCheckpoint` make fails once with EIO, ENOSPC and EACCES; the file must then hold what it held before, or what was to be saved.',
      '',
      ...table(
        ['faults injected', 'saved all the same', 'refused', 'errors without type', 'files damaged', 'temporary files left'],
        [[injected, saved, refused, untyped, damaged, leftBehind].map(whole)],
      ),
    ],
  ],
  workers: [
    'Workers terminated in the middle of a native call',
    ({ terminated, otherBits, errors, residentBefore, residentAfter }) => [
      'After each, the main thread computes a gradient whose bits are known.',
      '',
      ...table(
        ['workers terminated', 'other bits after', 'errors', 'resident before', 'after'],
        [[whole(terminated), whole(otherBits), whole(errors), megabytes(residentBefore), megabytes(residentAfter)]],
      ),
    ],
  ],
  longRun: [
    'Leaks: a long run',
    ({ seconds, steps, models, residentEarly, residentLate, stepMsEarly, stepMsLate }) => [
      'New models, each trained with `fit`, saved and loaded; means over the second tenth of the run and over its last.',
      '',
      ...table(
        ['seconds', 'steps', 'models', 'resident early', 'late', 'ms a step early', 'late'],
        [
          [
            whole(seconds),
            whole(steps),
            whole(models),
            megabytes(residentEarly),
            megabytes(residentLate),
            stepMsEarly.toFixed(3),
            stepMsLate.toFixed(3),
          ],
        ],
      ),
    ],
  ],
  eventLoop: [
    'Delay of the event loop',
    (result) => [
      'Of timers in the thread that does the work, by `monitorEventLoopDelay`, whose own resolution is a millisecond.',
      '',
      ...table(
        ['work', 'seconds', 'median ms', '99 % ms', 'most ms'],
        Object.entries(result).map(([name, { seconds, p50Ms, p99Ms, maxMs }]) => [
          name,
          seconds.toFixed(1),
          p50Ms.toFixed(1),
          p99Ms.toFixed(1),
          maxMs.toFixed(1),
        ]),
      ),
    ],
  ],
};

const UNDER = { fuzz: 'no sanitizer', sanitized: 'ASan and UBSan' };

/** Both measurements in one table: what an area ran under is a column. */
function fuzzing(recorded) {
  const runs = Object.keys(UNDER).filter((name) => recorded[name] !== undefined);
  if (runs.length === 0) return [];
  const areas = runs.flatMap((name) => recorded[name].result.areas.map((one) => ({ ...one, under: UNDER[name] })));
  const names = [...new Set(areas.map(({ area }) => area))];
  const rows = areas.toSorted((a, b) => names.indexOf(a.area) - names.indexOf(b.area));
  return [
    '## Fuzzing',
    '',
    'A call that neither returns nor throws an EvenkeelError, a result that is not as it should be, a crash and a hang are findings;',
    'under AddressSanitizer and UndefinedBehaviorSanitizer, with which the addon is then built, also whatever these report.',
    '',
    ...table(
      ['area', 'under', 'evenkeel', 'seed', 'calls', 'refused', 'seconds', 'findings'],
      rows.map(({ area, under, version, seed, calls, refused, seconds, findings }) => [
        area,
        under,
        version,
        String(seed),
        whole(calls),
        whole(refused),
        whole(seconds),
        whole(findings.length),
      ]),
    ),
    ...rows.flatMap(({ area, under, findings }) =>
      findings.map(
        (one) =>
          `- ${area}, ${under}, case ${one.case}${one.mended ? ', no finding when it was run again' : ''}: ${one.finding.split('\n')[0].replaceAll('|', '\\|').slice(0, 200)}`,
      ),
    ),
    '',
    ...runs.flatMap((name) => [`With ${UNDER[name]}: last on ${recorded[name].date}, ${machineOf(recorded[name])}.`, '']),
  ];
}

const machineOf = ({ machine: { node, cpu, cores, blas } }) => `Node ${node}, ${cpu}, ${cores} cores, ${blas}`;
const conditions = (recorded) => `evenkeel ${recorded.version}, ${recorded.date}, ${machineOf(recorded)}.`;

function kills({ trials, done, twice, sameResults, kills: count, starts }) {
  return [
    'The sweep is started again until it is complete; its results must be those of a run that nobody disturbed, byte for byte.',
    '',
    ...table(
      ['kills', 'starts', 'trials', 'done', 'done twice', 'same results'],
      [[count, starts, trials, done, twice, sameResults ? 'yes' : 'no']],
    ),
  ];
}

export function documentOf(recorded) {
  const lines = [
    '# Reliability',
    '',
    'Written by `node scripts/reliability.mjs --minutes M`, which anyone can run; what it recorded is in [reliability.json](reliability.json).',
    'What is measured is told in the scripts: `scripts/fuzz.mjs`, `scripts/chaos.mjs`, `scripts/reliability/`.',
    '',
  ];
  if (recorded.sanitized === undefined)
    lines.push('No run under sanitizers is recorded here: `scripts/sanitize.sh address node scripts/fuzz.mjs` makes one.', '');
  lines.push(...fuzzing(recorded));
  for (const [name, [title, write]] of Object.entries(SECTIONS)) {
    if (recorded[name] === undefined) continue;
    lines.push(`## ${title}`, '', ...write(recorded[name].result), '', conditions(recorded[name]), '');
  }
  return `${lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
}
