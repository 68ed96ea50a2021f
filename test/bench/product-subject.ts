import process from 'node:process';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType,
} from '@weft/proto/onnx';
import { openModel } from '@weft/trainer';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { cases } from './cases.ts';
import { frozenProducts, type Product } from './products.ts';
import { stepOnRequest } from './step-on-request.ts';

// Arguments: GGUF, cache folder, rows (not read), case, threads. One step measures every shape of product; its value is
// the milliseconds that a training step's products with the frozen weights take if nothing else is done.
const [gguf = '', cacheDir = '', , name = '', threads = ''] = process.argv.slice(2);
const work = cases.find((known) => known.name === name) ?? cases[0];
const { config } = await openModel(gguf, { cacheDir });

const matrix = (label: string, rows: number, columns: number) => ({
  name: label,
  type: {
    value: {
      case: 'tensorType' as const,
      value: {
        elemType: TensorProto_DataType.FLOAT,
        shape: {
          dim: [rows, columns].map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } })),
        },
      },
    },
  },
});

const gemm = ({ m, k, n, transB }: Product): Uint8Array =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 10n,
      opsetImport: [{ domain: '', version: 21n }],
      graph: {
        name: 'product',
        node: [
          {
            opType: 'Gemm',
            input: ['a', 'b'],
            output: ['y'],
            attribute: [{ name: 'transB', type: AttributeType.INT, i: transB ? 1n : 0n }],
          },
        ],
        input: [matrix('a', m, k), transB ? matrix('b', n, k) : matrix('b', k, n)],
        output: [matrix('y', m, n)],
      },
    }),
  );

const random = (rows: number, columns: number): Tensor =>
  new Tensor(
    'float32',
    Float32Array.from({ length: rows * columns }, () => Math.random() - 0.5),
    [rows, columns],
  );

const prepare = async (product: Product) => {
  const { m, k, n, transB, count } = product;
  const session = await InferenceSession.create(gemm(product), {
    intraOpNumThreads: Number(threads),
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const feeds = { a: random(m, k), b: transB ? random(n, k) : random(k, n) };
  return { session, feeds, fetches: { y: new Tensor('float32', new Float32Array(m * n), [m, n]) }, count };
};
const prepared = await Promise.all(frozenProducts(config, work).map(prepare));

/** Each shape's quickest of a few runs: a rate is what the machine can do. */
await stepOnRequest(async () => {
  let idealMs = 0;
  for (const { session, feeds, fetches, count } of prepared) {
    let best = Number.POSITIVE_INFINITY;
    for (let repeat = 0; repeat < 3; repeat++) {
      const start = performance.now();
      await session.run(feeds, fetches);
      best = Math.min(best, performance.now() - start);
    }
    idealMs += count * best;
  }
  return idealMs;
});
