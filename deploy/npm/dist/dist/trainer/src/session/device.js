import { WeftError } from '../../../shared/src/index.js';
                                                    

export const devices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml']         ;
                                              

/** An execution provider of ONNX Runtime, and the kernels that graphs for it may use. */
                           
                                         
                              
 

/** `auto` is the CPU: other devices are taken only by name, so that a run's speed and bits do not depend on what is installed. */
export function providerFor(device        )           {
  if (!devices.includes(device)) {
    throw new WeftError('WEFT_TRAINING_BAD_OPTION', `device is ${String(device)}, it can be ${devices.join(', ')}`);
  }
  return device === 'auto' || device === 'cpu' ? { name: 'cpu', target: 'cpu' } : { name: device, target: 'portable' };
}
