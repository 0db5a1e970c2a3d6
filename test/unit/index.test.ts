import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import * as api from '../../lib/index';

test('the root exports these values and no others', () => {
  expect(Object.keys(api).sort()).toEqual([
    'Activation',
    'Adam',
    'AdamW',
    'AdaptiveGradientClipping',
    'AutoClip',
    'Dropout',
    'Embedding',
    'EvenkeelError',
    'GRU',
    'Generator',
    'LSTM',
    'LastStep',
    'LayerNorm',
    'Linear',
    'Optimizer',
    'Parameter',
    'RMSNorm',
    'RMSprop',
    'RNN',
    'SGD',
    'Sequential',
    'Tensor',
    'Workspace',
    'ZClip',
    'addingProblem',
    'bceWithLogitsLoss',
    'bullmqExecutor',
    'clipGradNorm',
    'clipGradValue',
    'copyMemory',
    'crossEntropyLoss',
    'fit',
    'getNumThreads',
    'gradientFlow',
    'huberLoss',
    'l1Loss',
    'loadCheckpoint',
    'loadMetadata',
    'loadState',
    'localExecutor',
    'lyapunovExponents',
    'lyapunovSpectrum',
    'makeBatches',
    'makeWindows',
    'mseLoss',
    'padSequences',
    'readSeries',
    'readSeriesAsync',
    'runtimeInfo',
    'saveCheckpoint',
    'saveState',
    'setNumThreads',
    'splitInTime',
    'standardize',
    'sweep',
  ]);
});

test('ES modules can import each of them by name', () => {
  const file = JSON.stringify(join(__dirname, '../../dist/index.js'));
  const script = `import { ${Object.keys(api).join(', ')} } from ${file}; console.log([${Object.keys(api).join(', ')}].every((value) => typeof value === 'function'));`;
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe('true');
});
