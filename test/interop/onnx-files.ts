/** ONNX files as the fixtures hold them, in a container of bytes, and what is made of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadState, type Tensor } from '../../lib/index';
import { MODEL, type ModelProto } from '../../lib/interop/onnx/messages';
import { readMessage, writeMessage } from '../../lib/interop/onnx/wire';

/** One fixture: cases, and their arrays. */
export class OnnxFixture<Case> {
  readonly cases: readonly Case[];
  readonly #arrays: Record<string, Tensor>;

  constructor(name: string) {
    this.cases = JSON.parse(readFileSync(join(__dirname, `fixtures/${name}.json`), 'utf8')).cases;
    this.#arrays = loadState(join(__dirname, `fixtures/${name}.safetensors`));
  }

  has(key: string): boolean {
    return this.#arrays[key] !== undefined;
  }

  get(key: string): Tensor {
    const array = this.#arrays[key];
    if (array === undefined) throw new Error(`There is no ${key} in the fixture.`);
    return array;
  }

  /** The bytes of a case's file. */
  bytes(name: string, part = 'model'): Buffer {
    return Buffer.from(Uint8Array.from(this.get(`${name}/${part}`).data));
  }
}

/** Writes a file after a change of its model. */
export function writeChanged(path: string, bytes: Buffer, change: (model: ModelProto) => void): void {
  const model = readMessage('fixture', bytes, MODEL) as ModelProto;
  change(model);
  writeFileSync(path, Buffer.concat(writeMessage(model as Record<string, unknown>, MODEL)));
}
