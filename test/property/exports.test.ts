// Every function and class that the package exports is called with malformed arguments, or says here why not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as api from '../../lib/index';

const WITHOUT: Record<string, string> = {
  EvenkeelError: 'what refusals are made of',
  BaseLayer: 'abstract: its methods are called by those of its layers',
  Optimizer: 'abstract: its methods are called by those of SGD, Adam, AdamW and RMSprop',
  Scaler: 'has no public constructor: malformed-data.test.ts calls Scaler.fit and Scaler.from',
  getNumThreads: 'takes nothing',
  runtimeInfo: 'takes nothing',
  bullmqExecutor: 'connects to a server: test/sweep/queue.test.ts',
};

test('the property tests call whatever is exported', () => {
  const texts = readdirSync(__dirname)
    .filter((name) => /^(malformed-.*|calls)\.ts$/.test(name))
    .map((name) => readFileSync(join(__dirname, name), 'utf8'));
  const isCalled = (name: string) =>
    texts.some((text) => new RegExp(`\\b${name}\\(|\\bcall: ${name}\\b|, ${name}, |\\(${name} as `).test(text));
  const exported = Object.entries(api).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  expect(exported.filter((name) => !isCalled(name)).sort()).toEqual(Object.keys(WITHOUT).sort());
});
