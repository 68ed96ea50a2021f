import { byteAlphabet, toByteAlphabet } from '../tokenizer/byte-alphabet.js';

                             
                                                                                  
                             
                                                         
                                            
                                                                                           
                                 
 

                      
                      
                                     
                                                                   
                                                          
 

/** GPT-2's split into words (Hugging Face's `ByteLevel` with `use_regex`): no merge crosses these borders. */
const words = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The bytes by code point of their letters, the order that Hugging Face's trainer gives them. */
const firstTokens = byteAlphabet.toSorted((a, b) => (a < b ? -1 : 1));

                
                
                         
 

                
                        
                         
                
                                                   
                            
 

/**
 * Byte pair encoding (Sennrich et al. 2016, algorithm 1) over bytes: the most frequent neighbouring pair becomes a token,
 * again and again. Of two equally frequent pairs the one with the smaller ids wins, so the same texts always give the
 * same merges. Counts are kept up to date per merge instead of being taken anew.
 */
export function trainBpe(texts                  , { vocabSize, specialTokens, minimumCount = 2 }            )      {
  const tokens = [...specialTokens, ...firstTokens];
  if (vocabSize < tokens.length) throw new RangeError(`a vocabulary of ${vocabSize} cannot hold ${specialTokens.length} special tokens and 256 bytes`);
  const merges                                = [];
  const pairs = countPairs(countWords(texts, new Map(tokens.map((token, id) => [token, id]))));

  while (tokens.length < vocabSize) {
    const best = mostFrequent(pairs.values());
    if (best === undefined || best.count < minimumCount) break;
    const left = tokens[best.left]          ;
    const right = tokens[best.right]          ;
    merges.push([left, right]);
    tokens.push(left + right);
    mergePair(best, tokens.length - 1, pairs);
  }
  return { tokens, merges };
}

function countWords(texts                  , ids                             )         {
  const counts = new Map                ();
  for (const text of texts) for (const [word] of text.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Array.from(counts, ([word, count]) => ({ ids: Array.from(toByteAlphabet(word), (letter) => ids.get(letter)          ), count }));
}

/** Ids stay far below 2^26, so that a pair fits a safe integer. */
const pairKey = (left        , right        )         => left * 2 ** 26 + right;

function countPairs(all                 )                    {
  const pairs = new Map              ();
  for (const word of all) addPairs(word, 1, pairs);
  return pairs;
}

/** Adds (sign 1) or takes away (sign -1) what one word contributes to the counts. */
function addPairs(word      , sign        , pairs                   )       {
  for (let i = 0; i + 1 < word.ids.length; i++) {
    const left = word.ids[i]          ;
    const right = word.ids[i + 1]          ;
    const key = pairKey(left, right);
    let pair = pairs.get(key);
    if (pair === undefined) pairs.set(key, (pair = { left, right, count: 0, words: new Set() }));
    pair.count += sign * word.count;
    if (sign > 0) pair.words.add(word);
    if (pair.count === 0) pairs.delete(key);
  }
}

function mostFrequent(pairs                )                   {
  let best                  ;
  for (const pair of pairs) {
    if (best === undefined || pair.count > best.count || (pair.count === best.count && comesBefore(pair, best))) best = pair;
  }
  return best;
}

const comesBefore = (a      , b      )          => a.left < b.left || (a.left === b.left && a.right < b.right);

function mergePair({ left, right, words: holders }      , merged        , pairs                   )       {
  for (const word of [...holders]) {
    addPairs(word, -1, pairs);
    const ids           = [];
    for (let i = 0; i < word.ids.length; i++) {
      const isPair = word.ids[i] === left && word.ids[i + 1] === right;
      ids.push(isPair ? merged : (word.ids[i]          ));
      if (isPair) i++;
    }
    word.ids = ids;
    addPairs(word, 1, pairs);
  }
}
