/**
 * Phases of a round, in order. The same word is enum value, file, log field and dashboard label.
 * `keys`, `shares` and `unmasking` belong to aggregation.mode secure.
 */
export const roundPhases = [
  'waiting',
  'training',
  'keys',
  'shares',
  'collecting',
  'unmasking',
  'committing',
  'evaluating',
  'finished',
  'aborted',
  'paused',
]         ;
                                                      
