/** The messages of ONNX (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) and their fields, as far as models here have them. */
import type { MessageType } from './wire';

/** ONNX' numbers of element types. */
export const ELEMENT = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

/** ONNX' numbers of attribute types. */
export const ATTRIBUTE = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const;

export interface ModelProto {
  ir_version?: number;
  producer_name?: string;
  producer_version?: string;
  graph?: GraphProto;
  opset_import?: { domain?: string; version?: number }[];
  metadata_props?: EntryProto[];
}

export interface EntryProto {
  key?: string;
  value?: string;
}

export interface GraphProto {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  sparse_initializer?: unknown[];
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
}

export interface NodeProto {
  input?: string[];
  output?: string[];
  name?: string;
  op_type?: string;
  domain?: string;
  attribute?: AttributeProto[];
  doc_string?: string;
  metadata_props?: EntryProto[];
}

export interface AttributeProto {
  name?: string;
  type?: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
  ref_attr_name?: string;
}

export interface TensorProto {
  dims?: number[];
  data_type?: number;
  float_data?: number[];
  int32_data?: number[];
  int64_data?: number[];
  name?: string;
  raw_data?: Uint8Array;
  double_data?: number[];
  uint64_data?: number[];
  external_data?: EntryProto[];
  data_location?: number;
}

export interface ValueInfoProto {
  name?: string;
  type?: { tensor_type?: { elem_type?: number; shape?: { dim?: DimensionProto[] } } };
}

export interface DimensionProto {
  dim_value?: number;
  dim_param?: string;
}

const ENTRY: MessageType = { 1: { name: 'key', type: 'text' }, 2: { name: 'value', type: 'text' } };

const DIMENSION: MessageType = { 1: { name: 'dim_value', type: 'int' }, 2: { name: 'dim_param', type: 'text' } };
const SHAPE: MessageType = { 1: { name: 'dim', type: () => DIMENSION, repeated: true } };
const TENSOR_TYPE: MessageType = { 1: { name: 'elem_type', type: 'int' }, 2: { name: 'shape', type: () => SHAPE } };
const TYPE: MessageType = { 1: { name: 'tensor_type', type: () => TENSOR_TYPE } };
const VALUE_INFO: MessageType = { 1: { name: 'name', type: 'text' }, 2: { name: 'type', type: () => TYPE } };

export const TENSOR: MessageType = {
  1: { name: 'dims', type: 'int', repeated: true },
  2: { name: 'data_type', type: 'int' },
  4: { name: 'float_data', type: 'float', repeated: true },
  5: { name: 'int32_data', type: 'int', repeated: true },
  7: { name: 'int64_data', type: 'int', repeated: true },
  8: { name: 'name', type: 'text' },
  9: { name: 'raw_data', type: 'bytes' },
  10: { name: 'double_data', type: 'double', repeated: true },
  11: { name: 'uint64_data', type: 'int', repeated: true },
  13: { name: 'external_data', type: () => ENTRY, repeated: true },
  14: { name: 'data_location', type: 'int' },
};

const ATTRIBUTE_FIELDS: MessageType = {
  1: { name: 'name', type: 'text' },
  2: { name: 'f', type: 'float' },
  3: { name: 'i', type: 'int' },
  4: { name: 's', type: 'bytes' },
  5: { name: 't', type: () => TENSOR },
  6: { name: 'g', type: () => GRAPH },
  7: { name: 'floats', type: 'float', repeated: true },
  8: { name: 'ints', type: 'int', repeated: true },
  9: { name: 'strings', type: 'bytes', repeated: true },
  20: { name: 'type', type: 'int' },
  21: { name: 'ref_attr_name', type: 'text' },
};

const NODE: MessageType = {
  1: { name: 'input', type: 'text', repeated: true },
  2: { name: 'output', type: 'text', repeated: true },
  3: { name: 'name', type: 'text' },
  4: { name: 'op_type', type: 'text' },
  5: { name: 'attribute', type: () => ATTRIBUTE_FIELDS, repeated: true },
  6: { name: 'doc_string', type: 'text' },
  7: { name: 'domain', type: 'text' },
  9: { name: 'metadata_props', type: () => ENTRY, repeated: true },
};

export const GRAPH: MessageType = {
  1: { name: 'node', type: () => NODE, repeated: true },
  2: { name: 'name', type: 'text' },
  5: { name: 'initializer', type: () => TENSOR, repeated: true },
  11: { name: 'input', type: () => VALUE_INFO, repeated: true },
  12: { name: 'output', type: () => VALUE_INFO, repeated: true },
  15: { name: 'sparse_initializer', type: 'bytes', repeated: true },
};

const OPSET: MessageType = { 1: { name: 'domain', type: 'text' }, 2: { name: 'version', type: 'int' } };

export const MODEL: MessageType = {
  1: { name: 'ir_version', type: 'int' },
  2: { name: 'producer_name', type: 'text' },
  3: { name: 'producer_version', type: 'text' },
  7: { name: 'graph', type: () => GRAPH },
  8: { name: 'opset_import', type: () => OPSET, repeated: true },
  14: { name: 'metadata_props', type: () => ENTRY, repeated: true },
};
