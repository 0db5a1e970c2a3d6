// That the fuzzer sees what it is for: a crash, an untyped error, a wrong result; goes on after each, and says how to see it again.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

test('the fuzzer reports every kind of failure with its case, and ends with status 1', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  const json = join(folder, 'fuzz.json');
  try {
    const script = join(__dirname, '../../scripts/fuzz.mjs');
    const args = ['--area', 'selftest', '--seed', '0', '--minutes', '1', '--json', json];
    const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
    expect(status).toBe(1);
    const [{ findings }] = JSON.parse(readFileSync(json, 'utf8')).results;
    expect(
      findings.map(({ finding }: { finding: string }) => (finding.split('\n')[0] ?? '').replace(/status 134|SIGABRT/, 'SIGABRT')),
    ).toEqual([
      'the process ended with SIGABRT',
      expect.stringContaining('untyped: an untyped error: TypeError'),
      'wrong: a result is not as it should be',
    ]);
    expect(stderr).toContain('node scripts/fuzz.mjs --area selftest --case 1');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
