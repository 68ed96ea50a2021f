import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '@weft/proto/onnx';
import { OnnxWriter, onnxType } from '../../graph/onnx-writer.ts';
import type { ElementType } from '../../graph/types.ts';
import type { ModelConfig } from '../../models/model.ts';
import { DecoderWriter } from './decoder-writer.ts';
import type { PlacedWeight } from './weight-file.ts';

/** Old enough for every runtime in use: ReduceMean takes its axes as an input from 18 on. */
const opsetVersion = 18n;
const irVersion = 8n;

type Dimension = number | 'batch_size' | 'sequence_length' | 'past_sequence_length' | 'total_sequence_length';

/**
 * A decoder as one ONNX model with a cache of keys and values, in operators of the standard alone. Names and shapes are
 * those of Hugging Face's exports:
 *
 * - `input_ids`, `position_ids` int64 [batch_size, sequence_length]; `attention_mask` int64 [batch_size,
 *   total_sequence_length], 0 where a position is padding
 * - `past_key_values.N.key` and `.value` [batch_size, kvHeads, past_sequence_length, headDim], of length 0 at first
 * - `logits` [batch_size, sequence_length, vocab]; `present.N.key` and `.value`, the next run's past
 */
export function decoderModel(
  config: ModelConfig,
  weights: ReadonlyMap<string, PlacedWeight>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const onnx = new OnnxWriter('portable');
  for (const { name, dtype, shape, ...place } of weights.values())
    onnx.external(name, { dtype: dtype === 'F32' ? 'float32' : 'float16', shape }, place);
  new DecoderWriter(onnx, config, weights).write();
  const cacheShape = (length: Dimension): Dimension[] => ['batch_size', config.kvHeads, length, config.headDim];
  const caches = (prefix: string, length: Dimension): ValueInfoProto[] =>
    Array.from({ length: config.layers }, (_, layer) => layer).flatMap((layer) =>
      ['key', 'value'].map((kind) => info(`${prefix}.${layer}.${kind}`, 'float32', cacheShape(length))),
    );
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'weft',
    opsetImport: [{ domain: '', version: opsetVersion }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'weft',
      node: onnx.nodes,
      initializer: onnx.initializers,
      input: [
        info('input_ids', 'int64', ['batch_size', 'sequence_length']),
        info('attention_mask', 'int64', ['batch_size', 'total_sequence_length']),
        info('position_ids', 'int64', ['batch_size', 'sequence_length']),
        ...caches('past_key_values', 'past_sequence_length'),
      ],
      output: [
        info('logits', 'float32', ['batch_size', 'sequence_length', config.vocabSize]),
        ...caches('present', 'total_sequence_length'),
      ],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

const info = (name: string, dtype: ElementType, shape: readonly Dimension[]): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: onnxType[dtype],
          shape: {
            dim: shape.map((size) => ({
              value:
                typeof size === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(size) }
                  : { case: 'dimParam' as const, value: size },
            })),
          },
        },
      },
    },
  });
