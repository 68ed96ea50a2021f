/** The operators as functions of values: what models, objectives, optimizers and gradient rules are written in. */
                                                            

                                    
                            
                            
                               
                          
 
                                   
                                
                                   
                             
 
                                   
                    
                        
                                                                                    
                         
                                       
                             
 

export const scalar = (near       , value        )        => near.graph.constant(Float32Array.of(value), []);

export const add = (a       , b       )        => a.graph.apply('add', [a, b])[0];
export const sub = (a       , b       )        => a.graph.apply('sub', [a, b])[0];
export const mul = (a       , b       )        => a.graph.apply('mul', [a, b])[0];
export const div = (a       , b       )        => a.graph.apply('div', [a, b])[0];
export const min = (a       , b       )        => a.graph.apply('min', [a, b])[0];
export const sqrt = (a       )        => a.graph.apply('sqrt', [a])[0];
export const cast = (a       , to             )        => (a.dtype === to ? a : a.graph.apply('cast', [a], { to })[0]);
/** x·σ(x). */
export const silu = (x       )        => x.graph.apply('silu', [x])[0];

export const sum = (a       , axes                   , keepDims = false)        =>
  a.graph.apply('sum', [a], { axes, keepDims })[0];
export const mean = (a       , axes                   , keepDims = false)        =>
  a.graph.apply('mean', [a], { axes, keepDims })[0];

/** α·op(A)·op(B) + C for matrices, C optional. */
export const gemm = (a       , b       , attributes                    = {}, c        )        =>
  a.graph.apply('gemm', c ? [a, b, c] : [a, b], attributes)[0];
/** α·op(A)·op(B) over the last two axes; the axes before them are equal. */
export const matmul = (a       , b       , attributes                    = {})        =>
  a.graph.apply('matmul', [a, b], attributes)[0];

export const reshape = (a       , shape                   )        => a.graph.apply('reshape', [a], { shape })[0];
export const transpose = (a       , perm                   )        => a.graph.apply('transpose', [a], { perm })[0];
export const split = (a       , axis        , sizes                   )                   =>
  sizes.length === 1 ? [a] : a.graph.apply('split', [a], { axis, sizes });
export const concat = (parts                              , axis        )        =>
  parts.length === 1 ? parts[0] : parts[0].graph.apply('concat', parts, { axis })[0];

/** Rows of a table [rows, width] by index [n]: [n, width]. */
export const gatherRows = (table       , indices       )        => table.graph.apply('gatherRows', [table, indices])[0];
/** Zeros [rows, width] to which the rows [n, width] are added at their indices [n]; an index may repeat. */
export const scatterRows = (rows       , indices       , count        )        =>
  rows.graph.apply('scatterRows', [rows, indices], { count })[0];
/** matrix [n, width], where column targets[i] of row i has increments [n, 1] added. */
export const addAtColumns = (matrix       , targets       , increments       )        =>
  matrix.graph.apply('addAtColumns', [matrix, targets, increments])[0];

/** Over the last axis. */
export const softmax = (x       )        => x.graph.apply('softmax', [x])[0];
/** x / √(mean(x²) + ε) · gain over the last axis. */
export const rmsNorm = (x       , gain       , epsilon        )        =>
  x.graph.apply('rmsNorm', [x, gain], { epsilon })[0];
/** Rotary position embedding of [batch, heads, seq, headDim]. */
export const rotary = (x       , attributes                  )        => x.graph.apply('rotary', [x], attributes)[0];
/** Σᵢ rowWeights[i]·(logΣexp(logits[i]) − logits[i, targets[i]]), a scalar. */
export const crossEntropy = (logits       , targets       , rowWeights       )        =>
  logits.graph.apply('crossEntropy', [logits, targets, rowWeights])[0];
