import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
                                             
import { openIdentity } from './identity-file.js';
import { lockHome } from './lock.js';

/** A node's folder, held by this process. */
                           
                        
                              
                                          
                                 
                                                                                   
                               
                           
 

/**
 * Opens the folder for its owner alone (0700) and locks it.
 * @throws WEFT_HOME_LOCKED, WEFT_NODE_HOME_DAMAGED, WEFT_NODE_HOME_EXPOSED
 */
export async function openHome(path        )                    {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  const lock = await lockHome(path);
  try {
    const identity = await openIdentity(path);
    const pendingFolder = join(path, 'pending');
    const cacheFolder = join(path, 'cache');
    await mkdir(pendingFolder, { recursive: true, mode: 0o700 });
    await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
    return { path, identity, pendingFolder, cacheFolder, release: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
