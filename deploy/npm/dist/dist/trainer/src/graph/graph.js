import { GraphError, elementCount } from './shape.js';
                                                                                                    

/** Where a frozen weight's bytes lie. `location` is relative to the folder that the session is told. */
                               
                            
                          
                             
 

                                                        

/** A computation with static shapes, built node by node in an order that is already topological. */
export class Graph                    {
           nodes              = [];
           inputs          = [];
           constants = new Map                     ();
           weights = new Map                     ();
           outputs = new Map               ();
           #operators               ;
           #constantsByContent = new Map               ();
           #scopes           = [];
  #nextId = 0;

  constructor(operators               ) {
    this.#operators = operators;
  }

  input(name        , dtype             , shape                   )        {
    const value = this.#value(name, { dtype, shape }, undefined);
    this.inputs.push(value);
    return value;
  }

  weight(name        , type            , data              )        {
    const value = this.#value(name, type, undefined);
    this.weights.set(value, data);
    return value;
  }

  constant(data              , shape                   )        {
    if (data.length !== elementCount(shape)) {
      throw new GraphError(`a constant of ${data.length} values cannot have shape [${shape.join(', ')}]`);
    }
    const dtype = data instanceof Float32Array ? 'float32' : 'int64';
    const key = data.length <= 8 ? `${dtype} [${shape.join()}] ${data.join()}` : undefined;
    const known = key === undefined ? undefined : this.#constantsByContent.get(key);
    if (known) return known;
    const value = this.#value(`constant_${this.#nextId++}`, { dtype, shape }, undefined);
    this.constants.set(value, data);
    if (key !== undefined) this.#constantsByContent.set(key, value);
    return value;
  }

  apply(operatorName        , inputs                  , attributes          = {})                               {
    const operator = this.#operators[operatorName];
    if (!operator) throw new GraphError(`there is no operator ${operatorName}`);
    const name = [...this.#scopes, `${operatorName}_${this.#nextId++}`].join('/');
    const outputs          = [];
    const node            = { name, operatorName, operator, inputs, outputs, attributes };
    let types                       ;
    try {
      types = operator.types(inputs, attributes);
    } catch (cause) {
      throw new GraphError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    types.forEach((type, index) => outputs.push(this.#value(index === 0 ? name : `${name}:${index}`, type, node)));
    const [first, ...rest] = outputs;
    if (!first) throw new GraphError(`${name} has no output`);
    this.nodes.push(node);
    return [first, ...rest];
  }

  output(name        , value       )       {
    this.outputs.set(name, value);
  }

  /** Names what `build` adds: nodes are called `scope/operator_number`. */
  scope   (name        , build         )    {
    this.#scopes.push(name);
    try {
      return build();
    } finally {
      this.#scopes.pop();
    }
  }

  #value(name        , { dtype, shape }            , producer                       )        {
    return { name, dtype, shape, graph: this, producer };
  }
}
