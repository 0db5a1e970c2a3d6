/** A worker process: runs the trials it is given, one after another, until its owner ends it or is gone. */
import { writeFileSync } from 'node:fs';
import { worker } from 'workerpool';
import { setNumThreads } from '../../runtime';
import { runTrial } from '../measures';
import type { TrialRequest } from './trial-pool';

try {
  // When memory runs out, the system shall end a trial and not the sweep; see proc(5).
  writeFileSync('/proc/self/oom_score_adj', '1000');
} catch {}

worker({
  runTrial({ trial, file, threads }: TrialRequest) {
    setNumThreads(threads);
    return runTrial(trial, file);
  },
});
