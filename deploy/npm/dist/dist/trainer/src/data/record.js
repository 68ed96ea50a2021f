                                           
                                                             
import { hashText } from '../weights/hash-file.js';

/** Where a record came from, for the operator's eyes. */
                               
                        
                        
 

                           
                                                    
                                                                                               
                                                                            
                                                                                                     

/** One piece of data. Its id is the SHA-256 of its content: it decides the held-out share and never leaves the node. */
                                                                                                

export function createRecord(content               , source              )             {
  return { ...content, id: hashText(JSON.stringify(canonical(content))), source };
}

function canonical(content               )            {
  switch (content.kind) {
    case 'text': return [content.kind, content.text];
    case 'promptCompletion': return [content.kind, content.prompt, content.completion];
    case 'messages': return [content.kind, content.messages.map(({ role, content: text }) => [role, text])];
    case 'ids': return [content.kind, [...content.inputIds], content.labels && [...content.labels]];
  }
}
