import { setTimeout as wait } from 'node:timers/promises';
import { type FitOptions, fit, mseLoss } from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { makeScalar, scalarBatch } from './fit-models';

class Stream {
  text = '';
  isTTY: boolean;
  columns = 40;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

function run(progress: FitOptions['progress'], more: Partial<FitOptions> = {}) {
  const { model, optimizer } = makeScalar();
  const batches = [scalarBatch(1), scalarBatch(1)];
  return fit(model, batches, { loss: mseLoss, optimizer, epochs: 3, validation: { batches }, progress, ...more });
}

test('in a pipe, a line for each epoch', async () => {
  const stream = new Stream(false);
  await run(stream, { metrics: { 'a\nb': () => 1 / 3 }, earlyStopping: { patience: 9 } });
  expect(stream.text).toBe(
    'epoch 1 of 3: loss 0.82; validation loss 0.4096, a b 0.3333; learning rate 0.1; the best so far\n' +
      'epoch 2 of 3: loss 0.3359; validation loss 0.1678, a b 0.3333; learning rate 0.1; the best so far\n' +
      'epoch 3 of 3: loss 0.1376; validation loss 0.06872, a b 0.3333; learning rate 0.1; the best so far\n' +
      'ended after epoch 3; the weights are those of epoch 3, the best (0.06872)\n',
  );
});

test('on a terminal, also a line that changes, no wider than the terminal, and gone in the end', async () => {
  const stream = new Stream(true);
  await run(stream, { onStep: () => wait(110) });
  const pieces = stream.text.split('\r\x1b[K');
  expect(pieces.length).toBeGreaterThan(3);
  const changing = pieces.map((piece) => piece.split('\n').at(-1) as string).filter((piece) => piece !== '');
  expect(changing[0]).toMatch(/^epoch 1 of 3, step 2: loss 0\.64$/);
  expect(changing.at(-1)).toMatch(/^epoch 3 of 3, step [12] of 2: loss /);
  for (const piece of changing) expect(piece.length).toBeLessThan(40);
  expect(stream.text.endsWith('ended after epoch 3\n')).toBe(true);
});

test('says why it ended; an error leaves no open line', async () => {
  const stream = new Stream(false);
  await run(stream, { onEpoch: () => false });
  expect(stream.text).toMatch(/ended after epoch 1, as a callback wanted\n$/);
  const terminal = new Stream(true);
  let steps = 0;
  const onStep = async () => {
    await wait(110);
    if (++steps === 2) throw new Error('mine');
  };
  await expect(run(terminal, { onStep })).rejects.toThrow('mine');
  expect(terminal.text.endsWith('\r\x1b[K')).toBe(true);
  await expect(run({} as never)).rejects.toEqual(evenkeelError('ERR_OPTION', 'progress: expected true, false or a stream'));
});
