/** TF.js on one of its three backends for CPUs. */
import { loadRival, rivalVersion } from '../rival-module';
import type { Tf } from './tf';

export const BACKENDS = ['cpu', 'wasm', 'node'] as const;
export type Backend = (typeof BACKENDS)[number];

export async function loadBackend(backend: Backend, threads: number): Promise<{ tf: Tf; system: string }> {
  if (backend === 'node') {
    // TensorFlow reads these when it starts. The other two backends have no threads in Node.
    process.env.TF_NUM_INTRAOP_THREADS = process.env.TF_NUM_INTEROP_THREADS = process.env.OMP_NUM_THREADS = `${threads}`;
    const tf = loadRival('@tensorflow/tfjs-node') as Tf;
    await tf.ready();
    // The same TF.js may stand on any of several years' TensorFlow.
    return { tf, system: `TF.js ${rivalVersion('@tensorflow/tfjs-node')}, node (TensorFlow ${tf.backend().binding?.TF_Version})` };
  }
  const tf = loadRival('@tensorflow/tfjs') as Tf;
  if (backend === 'wasm') loadRival('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend(backend))) throw new Error(`TF.js could not start its backend "${backend}".`);
  await tf.ready();
  const simd = backend === 'wasm' ? ` (${(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'SIMD' : 'no SIMD'})` : '';
  return { tf, system: `TF.js ${rivalVersion('@tensorflow/tfjs')}, ${backend}${simd}` };
}
