// Trainings with groups, schedules and averaged weights, step by step, beside PyTorch's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Adam, AdamW, type Batch, fit, Linear, mseLoss, SGD, Tensor } from '../../lib/index';
import { AveragedWeights } from '../../lib/training/averaged-weights';
import { fill } from '../helpers/fill';
import { Goldens, numbered } from '../helpers/fixtures';
import { makeSchedule, type ScheduleCase } from '../helpers/schedules';

const CASES: {
  steps: number;
  trainings: {
    optimizer: 'SGD' | 'Adam' | 'AdamW';
    options: object;
    groups: Record<string, object>;
    schedule: ScheduleCase;
    decay: number;
  }[];
} = JSON.parse(readFileSync(join(__dirname, '../fixtures/training.json'), 'utf8'));
const OPTIMIZERS = { SGD, Adam, AdamW };
const goldens = new Goldens('training');
const within = 1e-12;

test.each(numbered(CASES.trainings))('%s', async (_, index, { optimizer: name, options, groups, schedule, decay }) => {
  const model = new Linear({ inputSize: 3, outputSize: 2, dtype: 'float64' });
  const prefix = `training/${index}`;
  model.loadStateDict({
    weight: fill(`${prefix}/weight`, [2, 3], { dtype: 'float64' }),
    bias: fill(`${prefix}/bias`, [2], { dtype: 'float64' }),
  });
  const parameters = model.parameters();
  const grouped = parameters.map((parameter) => ({ parameters: [parameter], ...groups[parameter.name] }));
  const optimizer = new OPTIMIZERS[name](grouped, options as { learningRate: number });
  const averages = new AveragedWeights(parameters, decay);
  const seen: Record<string, Tensor[]> = { weight: [], bias: [], 'averaged/weight': [], 'averaged/bias': [] };
  const keep = (under: string) => {
    for (const { name, value } of parameters) (seen[under + name] as Tensor[]).push(new Tensor(value.data.slice(), value.shape));
  };
  const batches: Batch[] = Array.from({ length: CASES.steps }, (_, step) => ({
    input: fill(`${prefix}/${step}/x`, [4, 3], { dtype: 'float64' }),
    target: fill(`${prefix}/${step}/y`, [4, 2], { dtype: 'float64' }),
  }));
  await fit(model, batches, {
    loss: mseLoss,
    optimizer,
    schedule: makeSchedule(schedule),
    averaging: { decay },
    onStep() {
      keep('');
      averages.update();
      const putBack = averages.swapIn();
      keep('averaged/');
      putBack();
    },
  });
  for (const [key, tensors] of Object.entries(seen)) {
    const all = Tensor.from(
      tensors.map((tensor) => tensor.toArray()),
      { dtype: 'float64' },
    );
    goldens.expect(`${prefix}/${key}`, all, { within });
  }
  // In the end the model has the averages.
  for (const { name, value } of parameters) expect(value.toArray()).toEqual(seen[`averaged/${name}`]?.at(-1)?.toArray());
});
