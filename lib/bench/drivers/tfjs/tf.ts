/** What the drivers use of TF.js, typed here because it is no dependency; and what each tier makes with it. */
export interface Tensor {
  readonly shape: readonly number[];
  dataSync(): Float32Array;
  dispose(): void;
}

export interface Variable extends Tensor {
  readonly name: string;
  assign(value: Tensor): void;
}

export interface NamedTensor {
  name: string;
  tensor: Tensor;
}

export interface Layer {
  apply(input: Tensor): Tensor;
  readonly trainableWeights: readonly { read(): Variable }[];
}

export interface Adam {
  applyGradients(gradients: readonly NamedTensor[]): void;
  dispose(): void;
}

export type Operand = Tensor | number;

export interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): { binding?: { TF_Version: string } };
  env(): { getAsync(flag: string): Promise<unknown> };
  tensor(values: ArrayLike<number>, shape: readonly number[]): Tensor;
  variable(initial: Tensor): Variable;
  zeros(shape: readonly number[]): Tensor;
  tidy<T>(work: () => T): T;
  add(a: Operand, b: Operand): Tensor;
  sub(a: Operand, b: Operand): Tensor;
  mul(a: Operand, b: Operand): Tensor;
  div(a: Operand, b: Operand): Tensor;
  minimum(a: Operand, b: Operand): Tensor;
  square(x: Tensor): Tensor;
  sqrt(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  tanh(x: Tensor): Tensor;
  sigmoid(x: Tensor): Tensor;
  addN(tensors: readonly Tensor[]): Tensor;
  sum(x: Tensor, axis?: number): Tensor;
  mean(x: Tensor, axis?: number, keepDims?: boolean): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  transpose(x: Tensor, order?: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  split(x: Tensor, piecesOrSizes: number | readonly number[], axis: number): Tensor[];
  concat(tensors: readonly Tensor[], axis: number): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  variableGrads(f: () => Tensor, variables: readonly Variable[]): { value: Tensor; grads: Record<string, Tensor> };
  grads(f: (...inputs: Tensor[]) => Tensor): (inputs: readonly Tensor[], outputGradient: Tensor) => Tensor[];
  train: { adam(learningRate: number, beta1: number, beta2: number, epsilon: number): Adam };
  losses: { meanSquaredError(target: Tensor, output: Tensor): Tensor };
  layers: Record<'simpleRNN' | 'lstm' | 'gru' | 'layerNormalization', (options: object) => Layer>;
  sequential(options: { layers: Layer[] }): Layer;
}

/** One pass forward and backward; for the work `layer-norm` there is no loss. */
export interface Pass {
  loss?: Tensor;
  gradients: NamedTensor[];
  backwardMs: number;
}

/** One tier's way of computing. Its tensors are the caller's to dispose, by tf.tidy. */
export interface Model {
  /** all variables and what they are at first */
  variables: readonly { variable: Variable; initial: Tensor }[];
  /** of the output's shape; not there for the work `layer-norm` */
  target?: Tensor;
  /** the one bias that stands for PyTorch's two: its gradient counts twice in the norm */
  doubled?: string;
  forward(): Tensor;
  pass(): Pass;
}
