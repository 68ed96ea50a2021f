import { create } from '@bufbuild/protobuf';
import {
                      
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
                 
  NodeProtoSchema,
                   
  TensorProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from '@weft/proto/onnx';
                                               
                                                                                                               

export const onnxType                                          = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  int64: DataType.INT64,
};

/** Collects the ONNX nodes and initializers of one model. */
export class OnnxWriter                    {
           target            ;
           nodes              = [];
           initializers                = [];
           #constants = new Map                ();
  #scope = '';
  #nextId = 0;

  constructor(target            ) {
    this.target = target;
  }

  /** What the nodes that follow are named after. */
  enter(scope        )       {
    this.#scope = scope;
  }

  name()         {
    return `${this.#scope}#${this.#nextId++}`;
  }

  node(opType        , inputs                   , options                  = {})         {
    const output = options.output ?? this.name();
    this.nodeWithOutputs(opType, inputs, [output], options);
    return output;
  }

  nodeWithOutputs(opType        , inputs                   , outputs                   , options                  = {})       {
    this.nodes.push(
      create(NodeProtoSchema, {
        name: `${this.#scope}#${this.#nextId++}.${opType}`,
        opType,
        domain: options.domain ?? '',
        input: [...inputs],
        output: [...outputs],
        attribute: Object.entries(options.attributes ?? {}).map(([name, value]) => toAttribute(name, value)),
      }),
    );
  }

  constant(data                              , shape                   )         {
    const dtype = data instanceof Float32Array ? 'float32' : 'int64';
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype}[${shape.join()}]${Buffer.from(bytes).toString('latin1')}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = `initializer#${this.#constants.size}`;
      this.#constants.set(key, name);
      this.#initializer(name, { dtype, shape }, { rawData: bytes });
    }
    return name;
  }

  external(name        , type            , { location, offset, sizeBytes }              )       {
    this.#initializer(name, type, {
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: location },
        { key: 'offset', value: String(offset) },
        { key: 'length', value: String(sizeBytes) },
      ],
    });
  }

  #initializer(name        , { dtype, shape }            , content               )       {
    this.initializers.push(
      create(TensorProtoSchema, { name, dataType: onnxType[dtype], dims: shape.map(BigInt), ...content }),
    );
  }
}

                    
                           
                                                                                   

function toAttribute(name        , value               )                 {
  if (typeof value === 'number') return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}
