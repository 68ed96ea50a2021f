import { createCipheriv, createHash } from 'node:crypto';

/**
 * Reproducible randomness for what must come out the same twice: initial adapters, the order of batches, stochastic
 * rounding under a fixed seed. AES-256-CTR with a zero IV under SHA-256("weft/1/random\0" ‖ seed). Never a secret.
 */
                               
                              
                   
                                         
                    
                                                                      
                                 
 

const pieceBytes = 64 * 1024;

export function createSeededRandom(seed        )               {
  const key = createHash('sha256').update('weft/1/random\0').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(pieceBytes);
  let piece         = Buffer.alloc(0);
  let at = 0;
  const uint32 = ()         => {
    if (at === piece.length) {
      piece = cipher.update(zeros);
      at = 0;
    }
    const word = piece.readUInt32LE(at);
    at += 4;
    return word;
  };
  return {
    uint32,
    uniform: () => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53,
    integer(below) {
      const limit = 2 ** 32 - (2 ** 32 % below);
      let word = uint32();
      while (word >= limit) word = uint32();
      return word % below;
    },
  };
}
