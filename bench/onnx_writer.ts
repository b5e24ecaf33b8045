// The bytes of an ONNX file (opset 17) from a graph of plain data (onnx_graph.ts), through protobufjs, which onnxruntime-web brings
// along: it is given, since it is installed in this folder alone. Message and field numbers: onnx/onnx.proto.
import type { OnnxAttribute, OnnxGraph, OnnxTensor, OnnxValue } from './onnx_graph.ts';

/** As far as it is used; the `light` build has it too. */
export interface Protobuf {
  readonly Root: { fromJSON(json: unknown): { lookupType(name: string): MessageType } };
}

interface MessageType {
  encode(message: unknown): { finish(): Uint8Array<ArrayBuffer> };
}

const OPSET = 17;
/** The version of the file's format that came with that opset. */
const IR_VERSION = 8;
const DATA_TYPES = { float32: 1, int64: 7 } as const;
const ATTRIBUTE_TYPES = { float: 1, int: 2, ints: 7 } as const;

const field = (id: number, type: string, rule?: 'repeated') => ({ id, type, ...(rule && { rule }) });

/** The messages of onnx.proto, without fields that are not written. */
const SCHEMA = {
  nested: {
    ModelProto: {
      fields: {
        irVersion: field(1, 'int64'),
        producerName: field(2, 'string'),
        graph: field(7, 'GraphProto'),
        opsetImport: field(8, 'OperatorSetIdProto', 'repeated'),
      },
    },
    OperatorSetIdProto: { fields: { domain: field(1, 'string'), version: field(2, 'int64') } },
    GraphProto: {
      fields: {
        node: field(1, 'NodeProto', 'repeated'),
        name: field(2, 'string'),
        initializer: field(5, 'TensorProto', 'repeated'),
        input: field(11, 'ValueInfoProto', 'repeated'),
        output: field(12, 'ValueInfoProto', 'repeated'),
      },
    },
    NodeProto: {
      fields: {
        input: field(1, 'string', 'repeated'),
        output: field(2, 'string', 'repeated'),
        name: field(3, 'string'),
        opType: field(4, 'string'),
        attribute: field(5, 'AttributeProto', 'repeated'),
      },
    },
    AttributeProto: {
      fields: {
        name: field(1, 'string'),
        f: field(2, 'float'),
        i: field(3, 'int64'),
        ints: field(8, 'int64', 'repeated'),
        type: field(20, 'int32'),
      },
    },
    TensorProto: {
      fields: {
        dims: field(1, 'int64', 'repeated'),
        dataType: field(2, 'int32'),
        name: field(8, 'string'),
        rawData: field(9, 'bytes'),
      },
    },
    ValueInfoProto: { fields: { name: field(1, 'string'), type: field(2, 'TypeProto') } },
    TypeProto: { fields: { tensorType: field(1, 'TensorTypeProto') } },
    TensorTypeProto: { fields: { elemType: field(1, 'int32'), shape: field(2, 'TensorShapeProto') } },
    TensorShapeProto: { fields: { dim: field(1, 'DimensionProto', 'repeated') } },
    DimensionProto: { fields: { dimValue: field(1, 'int64'), dimParam: field(2, 'string') } },
  },
};

/** The file. Weights are copied once; files of 2 GB and more are not possible in this format. */
export function writeOnnx(graph: OnnxGraph, protobuf: Protobuf): Uint8Array<ArrayBuffer> {
  return protobuf.Root.fromJSON(SCHEMA)
    .lookupType('ModelProto')
    .encode({
      irVersion: IR_VERSION,
      producerName: 'hyaline bench',
      opsetImport: [{ domain: '', version: OPSET }],
      graph: {
        name: graph.name,
        initializer: graph.tensors.map(encodeTensor),
        input: graph.inputs.map(encodeValue),
        output: graph.outputs.map(encodeValue),
        node: graph.nodes.map(({ op, inputs, output, attributes }) => ({
          opType: op,
          name: output,
          input: inputs,
          output: [output],
          attribute: Object.entries(attributes).map(encodeAttribute),
        })),
      },
    })
    .finish();
}

/** `rawData` is little-endian, which every machine that has WebGPU is. */
function encodeTensor({ name, type, dims, data }: OnnxTensor) {
  const raw = type === 'float32' ? Float32Array.from(data) : BigInt64Array.from(data, BigInt);
  const rawData = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
  return { name, dims, dataType: DATA_TYPES[type], rawData };
}

function encodeValue({ name, type, dims }: OnnxValue) {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: DATA_TYPES[type], shape: { dim } } } };
}

function encodeAttribute([name, attribute]: [string, OnnxAttribute]) {
  if ('int' in attribute) return { name, type: ATTRIBUTE_TYPES.int, i: attribute.int };
  if ('ints' in attribute) return { name, type: ATTRIBUTE_TYPES.ints, ints: attribute.ints };
  return { name, type: ATTRIBUTE_TYPES.float, f: attribute.float };
}
